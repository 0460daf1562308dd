"""Run a tunnel alongside a server: open and probe the tunnel, and point the agent's webhook at it while both run.

Uvicorn uses the main thread (or child processes), so the tunnel runs in a separate thread.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from loguru import logger

from ..exceptions import ConfigurationError, LayerCodeError, PlatformAPIError
from ..platform.claim import FILE, claimed, refuse_production, repair
from ..platform.client import PlatformClient
from ..platform.probe import Verdict, probe_until_reached
from ..platform.tunnel import Tunnel, check_program, words_of
from ..settings import Settings
from .shutdown import SIGNALS

if TYPE_CHECKING:
    from .app import LayerCode

JOIN_SECONDS = 60.0


def repair_webhook(settings: Settings) -> None:
    """Restore a webhook that a crashed run had pointed at its tunnel; without an API key, log how to restore it."""
    if not FILE.exists():
        return
    if settings.api_key is None:
        logger.error(
            "A crashed run left a webhook that must be restored ({}). Set LAYERCODE_API_KEY and start again.", FILE
        )
        return

    async def with_client() -> None:
        async with PlatformClient.from_settings(settings) as client:
            await repair(client)

    asyncio.run(with_client())


def check_tunnel(settings: Settings, *, update_webhook: bool) -> str | None:
    """Raise ConfigurationError if the tunnel or the update of the webhook cannot work.

    With `update_webhook`, return the webhook's current URL, or "nowhere" if there is none. Else return None.
    """
    check_program(words_of(settings.tunnel_command)[0])
    if not update_webhook:
        return None
    if settings.agent_id is None:
        raise ConfigurationError("LAYERCODE_AGENT_ID is not set, so there is no webhook to update. Add it to .env.")
    agent_id = settings.agent_id
    refuse_production(agent_id, settings)

    async def current() -> str | None:
        async with PlatformClient.from_settings(settings) as client:
            return (await client.agent(agent_id)).webhook_url

    return asyncio.run(current()) or "nowhere"


class TunnelBeside:
    """A context manager that keeps a tunnel open in a thread. On exit it restores the webhook, then closes the tunnel.

    The exit takes a while if the platform is slow. Meanwhile Ctrl-C and SIGTERM do not end the process.

    `lost` is called in that thread when the tunnel fails: it did not open, does not reach this server, or has ended.
    It is also called when the webhook could not be changed. Pass `lost` only for a server that is useless without the
    tunnel.
    """

    def __init__(
        self, settings: Settings, *, secret: str, update_webhook: bool, lost: Callable[[], None] | None = None
    ) -> None:
        self._settings = settings
        self._secret = secret
        self._update_webhook = update_webhook
        self._lost = lost
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._begun = threading.Event()
        self._claimed = ""
        """The id of the agent whose webhook may have to be restored."""
        self._exiting = False
        self._handlers: dict[int, Any] = {}
        """The signal handlers before this context."""
        # A daemon thread, so that the process can end even if the tunnel does not end in time.
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="tunnel", daemon=True)

    def __enter__(self) -> TunnelBeside:
        self._thread.start()
        self._begun.wait()
        # Set the handlers before uvicorn starts. When uvicorn stops, it restores the handlers that it found, so the
        # default handlers, which end the process, are never active.
        if threading.current_thread() is threading.main_thread():
            self._handlers = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._exiting = True
        if self._claimed and self._thread.is_alive():
            logger.info("Restoring the webhook of {}...", self._claimed)
        self._thread.join(JOIN_SECONDS)
        if self._thread.is_alive():
            logger.error("The tunnel did not end within {:g} s; its program may still run.", JOIN_SECONDS)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._exiting:
            raise SystemExit(128 + number)
        what = f"restoring the webhook of {self._claimed}" if self._claimed else "closing the tunnel"
        logger.warning("Still {}. This takes at most {:g} s.", what, JOIN_SECONDS)

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._begun.set()
        stopped = asyncio.create_task(self._stop.wait())
        working = asyncio.create_task(self._work())
        await asyncio.wait({stopped, working}, return_when=asyncio.FIRST_COMPLETED)
        lost = not stopped.done()
        # A cancelled task exits its contexts at any point: the webhook is restored, and the tunnel is closed.
        if not working.done():
            working.cancel()
        stopped.cancel()
        try:
            await working
        except asyncio.CancelledError:
            pass
        except LayerCodeError as error:
            logger.error("{}", error)
        finally:
            if lost and self._lost is not None:
                self._lost()

    async def _work(self) -> None:
        settings = self._settings
        async with AsyncExitStack() as stack:
            tunnel = await stack.enter_async_context(
                Tunnel.from_settings(settings, f"http://127.0.0.1:{settings.port}")
            )
            base = settings.tunnel_url or await tunnel.url(settings.tunnel_timeout)
            url = base.rstrip("/") + settings.agent_route
            verdict = await probe_until_reached(url, self._secret, seconds=settings.tunnel_timeout)
            _tell(url, verdict)
            if not verdict.reached and self._lost is not None:
                return
            if verdict.reached and self._update_webhook and settings.agent_id:
                await self._take_webhook(stack, settings.agent_id, url)
            await tunnel.until_it_dies()

    async def _take_webhook(self, stack: AsyncExitStack, agent_id: str, url: str) -> None:
        client = await stack.enter_async_context(PlatformClient.from_settings(self._settings))
        # Set this before the request. If Ctrl-C comes before the platform answers, the webhook may have been changed.
        self._claimed = agent_id
        try:
            await stack.enter_async_context(claimed(client, agent_id, url))
        except PlatformAPIError as error:
            self._claimed = ""
            if self._lost is not None:
                raise
            # The tunnel is still useful: the URL can be set by hand.
            logger.error("{}", error)
            logger.error("The webhook of {} was not changed. The tunnel stays open at {}", agent_id, url)
        else:
            logger.info("The webhook of {} is {} until this server stops.", agent_id, url)


class EndsWithTunnel:
    """Ends the server when its tunnel is lost. A server that has not started yet is ended as soon as it has started."""

    def __init__(self, app: LayerCode) -> None:
        self.lost = False
        self._serves = False
        # Append this only after the call of `drain_on_signals`: the signal handler of `drain_on_signals` must be
        # installed before `_serving` sends the signal.
        app.on_start.append(self._serving)

    def lose(self) -> None:
        """Record that the tunnel is lost, and end the server if it has started."""
        self.lost = True
        if self._serves:
            os.kill(os.getpid(), signal.SIGTERM)

    def _serving(self) -> None:
        self._serves = True
        if self.lost:
            os.kill(os.getpid(), signal.SIGTERM)


def _tell(url: str, verdict: Verdict) -> None:
    if verdict.fine:
        logger.info("Webhook URL: {} (reached in {:.0f} ms, unbuffered)", url, verdict.milliseconds)
    elif verdict.reached:
        logger.warning("Webhook URL: {} - {}", url, verdict.reason)
    else:
        logger.error("The tunnel's URL does not reach this server, so the webhook is not changed: {}", verdict.reason)

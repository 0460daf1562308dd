"""Run `chat`: start a server if needed, read lines from the keyboard, and print the replies as they arrive."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ...emulator.caller import Reply, TextCaller
from ...emulator.webhooks import Received, WebhookClient
from ...exceptions import ConfigurationError
from ...journal.record import DATA, TTS, Status
from ...output.paragraph import Paragraph
from ...output.terminal import print_block, print_json, print_line
from ...output.visible import json_text
from ...settings import load_settings

if TYPE_CHECKING:
    from ...server.app import LayerCode


@dataclass
class ChatOptions:
    """The options of `chat`."""

    url: str | None
    agent: str
    say: list[str] = field(default_factory=list)
    conversation: str | None = None
    as_json: bool = False
    secret: str | None = None
    agents_dir: Path | None = None
    model: str | None = None
    verbose: bool = False


async def hold(options: ChatOptions) -> int:
    """Hold the conversation and return the exit code."""
    async with _webhook(options) as (url, secret, app), WebhookClient(url, secret) as client:
        printed = Printed()
        hear = None if options.as_json else printed.hear
        caller = TextCaller(client, conversation_id=options.conversation, hear=hear)
        if not options.say:
            await _talk(caller, options, printed)
            return 0
        if not options.as_json:
            print_line((f"Conversation {caller.conversation_id}", "dim"), err=True)
        failed = False
        for text in options.say:
            reply = await caller.say(text)
            _show(reply, options, printed)
            failed |= await _failed(reply, app)
    return 1 if failed else 0


async def _failed(reply: Reply, app: LayerCode | None) -> bool:
    """Whether a turn failed: by its record, or on another server by an apology at the end of the reply."""
    if app is not None:
        record = await app.store.get(reply.conversation_id, reply.turn_id)
        return record is None or record.status is Status.FAILED
    settings = load_settings()
    apologies = settings.apology, settings.timeout_apology, settings.tool_apology
    return reply.spoken.rstrip().endswith(apologies)


async def _talk(caller: TextCaller, options: ChatOptions, printed: Printed) -> None:
    print_line((f"Conversation {caller.conversation_id}. Ctrl-C interrupts, Ctrl-D hangs up.", "dim"), err=True)
    await _interruptible(caller.greet(), options, printed)
    while (line := await _next_line()) is not None:
        if line.strip():
            reply = await _interruptible(caller.say(line.strip()), options, printed)
            if reply is not None and reply.hangup:
                break
    await caller.end()


async def _interruptible(turn: object, options: ChatOptions, printed: Printed) -> Reply | None:
    """Run a turn that Ctrl-C can interrupt; return None if it was interrupted."""
    task = asyncio.ensure_future(turn)  # type: ignore[call-overload]
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, task.cancel)
    try:
        reply: Reply = await task
    except asyncio.CancelledError:
        printed.end()
        print_line(("  -- interrupted", "dim"))
        return None
    finally:
        loop.remove_signal_handler(signal.SIGINT)
    _show(reply, options, printed)
    return reply


async def _next_line() -> str | None:
    if sys.stdin.isatty():
        print_line(("> ", "bold"), end="")
    line = await asyncio.to_thread(sys.stdin.readline)
    return line or None


class Printed:
    """Print a reply as it arrives."""

    def __init__(self) -> None:
        self._reply = Paragraph()

    def hear(self, frame: Received) -> None:
        """Print the speech or the data of a frame."""
        if frame.type == TTS:
            self._reply.write(str(frame.content))
        elif frame.type == DATA:
            self.end()
            print_block("  data ", json_text(frame.content), style="dim")

    def end(self) -> None:
        """End the line of the reply."""
        self._reply.end()


def _show(reply: Reply, options: ChatOptions, printed: Printed) -> None:
    if options.as_json:
        print_json(reply.as_dict(), indent=None)
        return
    first = "nothing was said" if reply.ttfs_ms is None else f"first speech after {reply.ttfs_ms:.0f} ms"
    printed.end()
    print_line((f"  {first}, complete after {reply.total_ms:.0f} ms", "dim"))


@asynccontextmanager
async def _webhook(options: ChatOptions) -> AsyncIterator[tuple[str, str, LayerCode | None]]:
    """Yield URL, secret and server: the given URL and no server, or those of a server started for this chat."""
    if options.url is not None:
        yield options.url, webhook_secret(options.secret), None
        return
    from ...dev.first_start import ensure_secret, tell_of_secret, warn_of_git
    from ...server.embedded import serving
    from ...server.serve import ServeOptions, build

    fresh = ensure_secret()
    served = ServeOptions(
        agent=options.agent,
        agents_dir=None if options.agents_dir is None else str(options.agents_dir),
        model=options.model,
        verbose=options.verbose,
        developing=True,
        settings={"log_level": None if options.verbose else "WARNING"},
    )
    settings = served.load()
    app = build(served, settings)
    if fresh:
        tell_of_secret()
        warn_of_git(settings)
    with suppress(KeyboardInterrupt):
        async with serving(app) as url:
            name = next(iter(app.agents))
            yield f"{url}/api/agents/{name}", settings.secrets_for(name)[0], app


def webhook_secret(given: str | None) -> str:
    """Return the secret to sign with: the given one, else the first of the settings.

    Raises ConfigurationError if there is none.
    """
    secrets = load_settings().webhook_secret
    if given is None and not secrets:
        raise ConfigurationError("No webhook secret. Give --secret, or set LAYERCODE_WEBHOOK_SECRET.")
    return given if given is not None else secrets[0].get_secret_value()

"""Keep an agent's MCP servers open while the agent is served, and reopen a lost server with exponential backoff.

A turn never opens a server itself, so a server that is down does not delay the caller. A server that hangs or is being
opened delays a turn by at most a few seconds. The model still sees the last known tools of the server. Calling one of
them while the server is down fails with a message for the model.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from loguru import logger
from pydantic_ai.exceptions import ModelRetry, ToolFailed
from pydantic_ai.toolsets import AbstractToolset, WrapperToolset

from ..observability.errors import chain

OPEN_SECONDS = 10.0
"""The timeout of one attempt to open a server."""
PAUSES = (0.2, 30.0)
"""The first and the longest pause between two attempts. Each pause is twice as long as the previous one."""
STABLE_SECONDS = 10.0
"""A server that was open for at least this time is reopened without a pause."""
CHECK_SECONDS = 15.0
"""The interval of the pings to a server, so that a dead server is reopened before a caller needs it."""
PING_SECONDS = 5.0
WAIT_SECONDS = 2.0
"""The maximum time that a turn waits for a server that is being opened, and for the server's list of tools."""
CLOSE_SECONDS = 5.0

CONNECTION_CLOSED = -32000
"""The error code of MCP libraries for a call whose connection is lost."""
_LOST = {"TransportError", "ConnectionError", "ClosedResourceError", "BrokenResourceError", "EndOfStream"}
_GONE = ("session terminated", "session not found", "client is not connected")

DOWN = "The server of this tool cannot be reached now. Tell the caller that this is not possible at the moment."
LOST = (
    "The server of this tool was lost during the call and is being opened again. It is not known whether the call was "
    "carried out: call the tool again only if doing it twice does no harm."
)


class ToolServer:
    """One MCP server. The service keeps it open with `keep`. A turn uses `list_tools` and `call_tool`."""

    def __init__(self, toolset: AbstractToolset[Any], agent: str) -> None:
        self.toolset = toolset
        self.tried = asyncio.Event()
        """Set once the first attempt to open the server has ended."""
        self._name = f"{toolset.label} of agent {agent!r}"
        self._opened = asyncio.Event()
        self._lost = asyncio.Event()
        self._failures = 0
        self._tools: dict[str, Any] = {}

    # --- for the service

    async def keep(self, closing: asyncio.Event) -> None:
        """Keep the server open until `closing` is set. Reopen it whenever the connection is lost."""
        pause = PAUSES[0]
        while not closing.is_set():
            opened_at = time.monotonic()
            if await self._open(closing):
                await self._until_lost(closing)
                await self._close()
            if time.monotonic() - opened_at >= STABLE_SECONDS and not self._failures:
                pause = PAUSES[0]
            elif not closing.is_set():
                await _within(pause, closing.wait())
                pause = min(pause * 2, PAUSES[1])

    async def _open(self, closing: asyncio.Event) -> bool:
        self._lost.clear()
        try:
            async with asyncio.timeout(OPEN_SECONDS) as limit, _ended_by(closing, limit):
                await self.toolset.__aenter__()
        except Exception as error:  # noqa: BLE001 - a tool server that is down must not keep the agent from serving
            self._failures += 1
            if self._failures == 1 and not closing.is_set():
                logger.opt(exception=error).warning(
                    "The MCP server {} could not be opened; retrying until it answers: {}",
                    self._name,
                    type(error).__name__,
                )
            return False
        finally:
            self.tried.set()
        if self._failures:
            logger.info("The MCP server {} is connected after {} failed attempts", self._name, self._failures)
        self._failures = 0
        self._opened.set()
        return True

    async def _until_lost(self, closing: asyncio.Event) -> None:
        while not closing.is_set():
            await _within(CHECK_SECONDS, closing.wait(), self._lost.wait())
            if closing.is_set():
                return
            if self._lost.is_set() or not await self._answers():
                logger.warning("The connection to the MCP server {} was lost; reopening it", self._name)
                return

    async def _answers(self) -> bool:
        ping = getattr(getattr(self.toolset, "client", None), "ping", None)
        if ping is None:
            return True
        try:
            async with asyncio.timeout(PING_SECONDS):
                await ping()
        except Exception as error:  # noqa: BLE001 - a healthy server may refuse a ping
            return not (isinstance(error, TimeoutError) or is_lost(error))
        return True

    async def _close(self) -> None:
        """Close the session and the child process, even if calls still use them."""
        self._opened.clear()
        # The transport of a child process stays open after its contexts are exited: only `close` ends it.
        close = getattr(getattr(self.toolset, "client", None), "close", None)
        if close is not None:
            # If the server is gone, `close` raises an error, but still closes the session.
            with suppress(Exception):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await close()
        with suppress(Exception):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.toolset.__aexit__(None, None, None)

    # --- for turns

    async def list_tools(self, ctx: Any) -> dict[str, Any]:
        """Return the server's tools, or its last known tools if it cannot list them."""
        if not await self._ready():
            return self._tools
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                self._tools = await self.toolset.get_tools(ctx)
        except Exception as error:  # noqa: BLE001 - the agent answers without these tools
            logger.warning("The MCP server {} did not list its tools: {}", self._name, type(error).__name__)
            if isinstance(error, TimeoutError) or is_lost(error):
                self._lost.set()
        return self._tools

    async def call_tool(self, name: str, args: dict[str, Any], ctx: Any, tool: Any) -> Any:
        """Call a tool. Raises ToolFailed, with a message for the model, if the server is down or was lost."""
        if not await self._ready():
            raise ToolFailed(DOWN)
        try:
            return await self.toolset.call_tool(name, args, ctx, tool)
        except Exception as error:
            if not is_lost(error):
                raise
            self._opened.clear()
            self._lost.set()
            raise ToolFailed(LOST) from error

    async def _ready(self) -> bool:
        """Return whether the server is open.

        If it is not open yet, wait for it, up to WAIT_SECONDS. Do not wait if the last attempt to open it failed.
        """
        if not self._opened.is_set() and not self._failures:
            await _within(WAIT_SECONDS, self._opened.wait())
        return self._opened.is_set()


@dataclass
class KeptTools(WrapperToolset[Any]):
    """Gives a run the tools of an MCP server that is already open. The run neither opens nor closes the server."""

    server: ToolServer

    async def __aenter__(self) -> KeptTools:
        """Enter without opening the server, because a server that hangs would delay the run."""
        return self

    async def __aexit__(self, *args: object) -> None:
        """Leave the server open."""

    async def get_tools(self, ctx: Any) -> dict[str, Any]:
        """List the server's tools."""
        return await self.server.list_tools(ctx)

    async def call_tool(self, name: str, tool_args: dict[str, Any], ctx: Any, tool: Any) -> Any:
        """Call one of the server's tools."""
        return await self.server.call_tool(name, tool_args, ctx, tool)


def is_lost(error: BaseException) -> bool:
    """Return whether an error, or one of its causes, means that the connection to a server is lost."""
    return any(_says_lost(link) for link in chain(error))


def _says_lost(error: BaseException) -> bool:
    if isinstance(error, ModelRetry | ToolFailed):
        return False
    names = {base.__name__ for base in type(error).__mro__}
    gone = any(text in str(error).lower() for text in _GONE)
    return bool(names & _LOST) or gone or getattr(error, "code", None) == CONNECTION_CLOSED


@asynccontextmanager
async def _ended_by(closing: asyncio.Event, limit: asyncio.Timeout) -> AsyncIterator[None]:
    """Within the block, let the timeout `limit` expire at once when `closing` is set."""

    def end(task: asyncio.Future[Any]) -> None:
        if not task.cancelled():
            limit.reschedule(0)

    watch = asyncio.ensure_future(closing.wait())
    watch.add_done_callback(end)
    try:
        yield
    finally:
        watch.cancel()


async def _within(seconds: float, *awaited: Any) -> None:
    """Wait until one of the awaitables is done or the time is over. Then cancel every awaitable that is not done."""
    tasks = [asyncio.ensure_future(one) for one in awaited]
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()

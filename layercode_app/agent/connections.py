"""Keep connections open while agents are served: the HTTP clients of their models, and their MCP servers."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from loguru import logger

from .._compat.openai import http_client, keep_idle, provider_client, use_http2, wrap_transports
from .._compat.openai_requests import keep_copies, send_json_as_is
from .._compat.pydantic_ai import resolves_per_run
from ..exceptions import ConfigurationError
from .models import given_model, models_of, single_models
from .resent_requests import ResendingTransport

if TYPE_CHECKING:
    from .tool_servers import ToolServer
    from .voice_agent import VoiceAgent

KEEP_SECONDS = 300.0
"""The default time for which an idle connection to a provider is kept. Callers speak every few seconds, but HTTP
clients close a connection after 5 idle seconds, so most turns would have to open a new TLS connection. A provider may
close a connection sooner. Then the client opens a new connection and resends the lost request at once."""
START_SECONDS = 2.0
"""The maximum time that the service's start waits for connections. Slower ones open while calls are accepted."""


class Connections:
    """Opens and closes the agents' connections.

    Each connection has its own task, because a context must be exited in the task that entered it. Connections to the
    models' providers are kept for `idle_seconds` when they are idle. They use HTTP/2 if `http2` is true.

    Raises ConfigurationError if `http2` is true but the package for HTTP/2 is not installed.
    """

    def __init__(self, idle_seconds: float = KEEP_SECONDS, *, http2: bool = False) -> None:
        if http2 and find_spec("h2") is None:
            raise ConfigurationError("LAYERCODE_MODEL_HTTP2 needs the package h2: pip install 'layercode-app[http2]'")
        self._idle_seconds = idle_seconds
        self._http2 = http2
        self._closing = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._servers: dict[int, ToolServer] = {}

    async def open(self, voices: Collection[VoiceAgent[Any, Any]]) -> None:
        """Open the connections of these agents, and log failures.

        If an MCP server cannot be opened, the attempt is repeated in the background. If a model, or a toolset other
        than an MCP server, cannot be opened, each turn tries to open it again.
        """
        opening = [part for voice in voices for part in self._open_parts(voice)]
        waiting = [asyncio.create_task(opened.wait()) for _, opened in opening]
        if waiting:
            await asyncio.wait(waiting, timeout=START_SECONDS)
        for (name, opened), task in zip(opening, waiting, strict=True):
            if not opened.is_set():
                logger.warning("{} is slow to open; calls are accepted meanwhile", name)
            task.cancel()
        for model in single_models(models_of(voices)):
            client = http_client(model)
            keep_idle(client, self._idle_seconds)
            if self._http2:
                use_http2(client)
            wrap_transports(client, ResendingTransport)
            if keep_copies(provider_client(model)):
                send_json_as_is()

    async def close(self) -> None:
        """Close all connections."""
        self._closing.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _open_parts(self, voice: VoiceAgent[Any, Any]) -> Iterator[tuple[str, asyncio.Event]]:
        """Start to open the models and toolsets of an agent. Yield the name of each, and an event.

        The event is set when the model or toolset is open or has failed to open.
        """
        servers = _tool_servers(voice)
        for toolset in servers:
            yield self._open_server(toolset, voice)
        voice.tool_servers = {id(toolset): self._servers[id(toolset)] for toolset in servers}
        # Entering an agent would also wait for its MCP servers. If its model is given by name, that model would be
        # created too, although its key may be missing. So the parts of such an agent are entered one by one.
        by_name = isinstance(given_model(voice.agent), str)
        parts = _parts(voice) if servers or by_name else [voice.model, voice.agent]
        for part in parts:
            if part is not None:
                opened = asyncio.Event()
                self._begin(_keep(part, voice.name, opened, self._closing))
                yield f"{type(part).__name__} of agent {voice.name!r}", opened

    def _open_server(self, toolset: Any, voice: VoiceAgent[Any, Any]) -> tuple[str, asyncio.Event]:
        from .tool_servers import ToolServer

        server = self._servers.get(id(toolset))
        if server is None:
            server = self._servers[id(toolset)] = ToolServer(toolset, voice.name)
            self._begin(server.keep(self._closing))
        return f"The MCP server {toolset.label} of agent {voice.name!r}", server.tried

    def _begin(self, work: Any) -> None:
        self._tasks.append(asyncio.create_task(work, name="agent-connections"))


def _tool_servers(voice: VoiceAgent[Any, Any]) -> list[Any]:
    """Return the MCP servers that all runs of an agent share."""
    return [leaf for leaf in _toolsets(voice) if _is_tool_server(leaf)]


def _is_tool_server(toolset: Any) -> bool:
    # Compare the class by name: importing it would import the MCP library, which is an optional dependency. A server
    # whose headers depend on the run is opened by each run.
    named = any(base.__name__ == "MCPToolset" for base in type(toolset).__mro__)
    return named and not resolves_per_run(toolset)


def _toolsets(voice: VoiceAgent[Any, Any]) -> list[Any]:
    found: list[Any] = []
    for toolset in getattr(voice.agent, "toolsets", ()):
        toolset.apply(found.append)
    return found


def _parts(voice: VoiceAgent[Any, Any]) -> list[Any]:
    """Return an agent's models and toolsets, except the MCP servers that all runs share."""
    return [*models_of([voice]), *(leaf for leaf in _toolsets(voice) if not _is_tool_server(leaf))]


async def _keep(part: Any, name: str, opened: asyncio.Event, closing: asyncio.Event) -> None:
    """Keep an agent's model or toolset (`part`) open until `closing` is set.

    Set `opened` when the part is open or has failed to open.
    """
    try:
        async with part:
            opened.set()
            await closing.wait()
    except Exception as error:  # noqa: BLE001 - a part that cannot be opened must not keep the others from serving
        # Log only the type of the error in the message: the error's text may quote a header, or a URL with its key.
        what, why = type(part).__name__, type(error).__name__
        logger.opt(exception=error).error("Agent {!r} could not open {}: {}", name, what, why)
    finally:
        opened.set()

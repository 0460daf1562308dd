"""An agent's MCP servers: a server that dies or restarts is reopened, and one that hangs delays no caller."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from layercode_app import Turn, VoiceAgent
from layercode_app.agent import tool_servers
from layercode_app.testing.call import AgentCall, open_call

from ..ports import free_port
from ..processes import runs
from ..serving import serve
from ..waiting import until

pytest.importorskip("mcp")
pytestmark = pytest.mark.anyio

SERVER = Path(__file__).parent / "mcp_server.py"


def stdio(*arguments: str) -> Any:
    from fastmcp.client.transports import StdioTransport
    from pydantic_ai.mcp import MCPToolset

    return MCPToolset(StdioTransport(sys.executable, [str(SERVER), *arguments]), id="oven")


async def play(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
    """Call the first tool and say its result. Without a tool, say "No tools."."""
    last = messages[-1].parts[-1]
    if last.part_kind == "tool-return":
        yield str(last.content)
    elif info.function_tools:
        yield {0: DeltaToolCall(name=info.function_tools[0].name, json_args="{}", tool_call_id=f"c{len(messages)}")}
    else:
        yield "No tools."


def baker(*toolsets: Any) -> VoiceAgent[Any, Any]:
    agent = Agent(FunctionModel(stream_function=play, model_name="m"), deps_type=Turn, toolsets=toolsets)
    return VoiceAgent("baker", agent, filler=False)  # A busy machine must not change an answer.


def pid_of(spoken: str) -> int:
    found = re.search(r"oven (\d+)", spoken)
    assert found is not None, spoken
    return int(found[1])


async def gone(pid: int) -> None:
    """Wait until a process has ended."""

    await until(lambda: not runs(pid))


def forgive_broken_pipes() -> None:
    """Ignore broken pipes that are reported to the event loop, because a report would fail the test.

    Python 3.11.2 reports a broken pipe if a ping is written to a child process that has died.
    """
    loop = asyncio.get_running_loop()
    told = loop.get_exception_handler() or (lambda loop, context: loop.default_exception_handler(context))

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), BrokenPipeError):
            told(loop, context)

    loop.set_exception_handler(handle)


@asynccontextmanager
async def started(*toolsets: Any) -> AsyncIterator[AgentCall]:
    forgive_broken_pipes()
    async with open_call(baker(*toolsets)) as call:
        await call.app.start()
        yield call


async def test_a_child_that_died_is_opened_again_before_the_next_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_servers, "CHECK_SECONDS", 0.02)
    monkeypatch.setattr(tool_servers, "STABLE_SECONDS", 0.0)
    async with started(stdio()) as call:
        (server,) = call.agent.tool_servers.values()
        first = pid_of((await call.say("ask")).spoken)
        assert pid_of((await call.say("ask again")).spoken) == first
        opened = server._opened
        os.kill(first, signal.SIGKILL)
        await until(lambda: not opened.is_set())
        second = pid_of((await call.say("and again")).spoken)
        assert second != first
    await gone(second)


async def test_a_call_that_meets_a_dead_child_is_told_so_and_the_next_one_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tool_servers, "CHECK_SECONDS", 600.0)
    monkeypatch.setattr(tool_servers, "STABLE_SECONDS", 0.0)
    async with started(stdio()) as call:
        first = pid_of((await call.say("ask")).spoken)
        os.kill(first, signal.SIGKILL)
        await gone(first)
        turn = await call.say("ask again")
        assert turn.spoken == tool_servers.LOST
        assert turn.record is not None
        assert [(tool.status, tool.result) for tool in turn.record.tools] == [("failed", "ToolFailedError")]
        assert turn.record.error is None
        assert pid_of((await call.say("and again")).spoken) != first


async def test_a_server_over_http_that_restarts_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from mcp.server import MCPServer
    from pydantic_ai.mcp import MCPToolset

    monkeypatch.setattr(tool_servers, "CHECK_SECONDS", 0.02)
    monkeypatch.setattr(tool_servers, "PAUSES", (0.02, 0.05))
    port = free_port()

    @asynccontextmanager
    async def serving() -> AsyncIterator[None]:
        server = MCPServer("oven")

        @server.tool()
        def ask() -> str:
            return "oven 1"

        async with serve(server.streamable_http_app(), port=port):
            yield

    toolset = MCPToolset(f"http://127.0.0.1:{port}/mcp", id="oven")
    async with serving():
        manager = started(toolset)
        call = await manager.__aenter__()
        assert (await call.say("ask")).spoken == "oven 1"
    try:
        (server,) = call.agent.tool_servers.values()
        await until(lambda: server._failures > 0)
        down = await call.say("ask while it is down")
        assert down.spoken == tool_servers.DOWN
        assert down.record is not None
        assert down.record.error is None
        async with serving():
            await until(server._opened.is_set)
            assert (await call.say("ask again")).spoken == "oven 1"
    finally:
        await manager.__aexit__(None, None, None)


async def test_a_server_that_hangs_delays_neither_the_start_nor_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layercode_app.agent.connections.START_SECONDS", 0.05)
    monkeypatch.setattr(tool_servers, "WAIT_SECONDS", 0.05)
    async with started(stdio("hang"), stdio()) as call:
        hanging, _ = call.agent.tool_servers.values()
        assert not hanging.tried.is_set()
        await until(lambda: all(server._opened.is_set() for server in list(call.agent.tool_servers.values())[1:]))
        # The tools of the second server can be used while the first server hangs. The block stops both at its end.
        assert pid_of((await call.say("ask")).spoken) > 0
        assert not hanging.tried.is_set()


async def test_a_server_that_cannot_be_started_leaves_the_agent_without_its_tools() -> None:
    from fastmcp.client.transports import StdioTransport
    from pydantic_ai.mcp import MCPToolset

    missing = MCPToolset(StdioTransport("/no/such/program", []), id="missing")
    async with started(missing) as call:
        assert (await call.say("ask")).spoken == "No tools."
        (server,) = call.agent.tool_servers.values()
        assert server._failures > 0


async def test_agents_that_are_replaced_close_their_children_and_the_new_ones_open_theirs() -> None:
    async with started(stdio()) as call:
        first = pid_of((await call.say("ask")).spoken)
        call.app.use(baker(stdio()))
        await call.app.reconnect()
        await gone(first)
        assert pid_of((await call.say("ask again")).spoken) != first


def test_what_says_that_a_connection_is_gone() -> None:
    class MCPError(Exception):
        code = tool_servers.CONNECTION_CLOSED

    retry = ValueError("Connection closed")
    retry.__cause__ = MCPError()
    assert tool_servers.is_lost(retry)
    assert tool_servers.is_lost(ExceptionGroup("", [ConnectionResetError()]))
    assert tool_servers.is_lost(RuntimeError("Session terminated"))
    assert not tool_servers.is_lost(ValueError("no such cake"))
    assert not tool_servers.is_lost(TimeoutError())

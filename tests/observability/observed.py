"""A real server process with every sink. Its agent calls tools, fails in every place and quotes its caller."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layercode_app.emulator.webhooks import WebhookClient

from ..forked import AsyncProcess
from ..ports import free_port
from ..processes import command, listening

SECRET = "test-webhook-secret-4711"
TOKEN = "pylf_v1_us_testtoken0123456789abcdef"

AGENT = '''
"""Fails where it is told to."""
import asyncio
import gc
import threading
from typing import Any

from loguru import logger
from opentelemetry import trace
from pydantic_ai import Agent, ModelRetry, RunContext
from pydantic_ai.messages import ModelMessage, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from layercode_app import Turn, VoiceAgent


def said(messages: list[ModelMessage]) -> str:
    return [str(part.content) for m in messages for part in m.parts if part.part_kind == "user-prompt"][-1]


async def play(messages: list[ModelMessage], info: AgentInfo) -> Any:
    text = said(messages)
    if any(isinstance(part, ToolReturnPart) for part in messages[-1].parts):
        for number in range(30):
            yield f"word{number} "
        yield f"You said: {text}"
        return
    yield "Let me see. "
    if "break the stream" in text:
        raise RuntimeError(f"the model choked on {text}")
    if "wait" in text:
        await asyncio.sleep(30)
    if "tool" in text:
        yield {1: DeltaToolCall(name="look_up", json_args='{"what": "%s"}' % text, tool_call_id=f"c{len(messages)}")}


pydantic_agent = Agent(FunctionModel(stream_function=play), deps_type=Turn, name="observed")
agent = VoiceAgent("observed", pydantic_agent, greeting="Hello!")


@pydantic_agent.tool
async def look_up(ctx: RunContext[Turn], what: str) -> str:
    turn = ctx.deps
    with turn.span("own stage", size=3):
        pass
    with trace.get_tracer("mine").start_as_current_span("plain opentelemetry"):
        pass
    import logfire
    with logfire.span("plain logfire"):
        pass
    turn.count("look_ups", size="small")
    turn.log.info("number {} and token {}", turn.from_phone_number, turn.metadata.get("token"))
    logger.bind(extra={"signature": "v1=" + "ab" * 32}).info("bound")
    if "behind" in what:
        await leave_behind(turn)
    if "fail" in what:
        raise RuntimeError(f"no luck with {what} for {turn.from_phone_number}, {turn.metadata}")
    return f"found {what}"


class Unlucky:
    def __init__(self, text: str) -> None:
        self.text = text

    def __del__(self) -> None:
        raise RuntimeError(f"could not drop {self.text}")


async def fail_later(turn: Turn) -> None:
    raise RuntimeError(f"cannot book for {turn.text}, {turn.metadata}")


def fail(text: str) -> None:
    raise RuntimeError(f"cannot book for {text}")


async def leave_behind(turn: Turn) -> None:
    """Begins what fails where nobody looks."""
    asyncio.create_task(fail_later(turn), name=turn.text)
    thread = threading.Thread(target=fail, args=(f"{turn.text}, {turn.metadata}",), name=turn.text)
    thread.start()
    thread.join()
    asyncio.get_running_loop().call_soon(fail, turn.text)
    Unlucky(turn.text)
    await asyncio.sleep(0)
    gc.collect()


@agent.on_event
async def event(event: Any) -> None:
    if event.type == "weather.report":
        raise ValueError(f"no idea of {event}")


@agent.on_authorize
async def authorize(request: Any) -> None:
    if request.metadata:
        raise ValueError(f"who is {request.metadata}")


@agent.on_data
async def data(turn: Turn, content: Any) -> Any:
    raise ValueError(f"the page sent {content} for {turn.from_phone_number}")


@agent.on_session_end
async def end(event: Any) -> None:
    raise ValueError(f"the transcript was {event.transcript}")
'''


@dataclass
class Observed:
    """The running server."""

    url: str
    process: AsyncProcess
    folder: Path
    client: WebhookClient

    async def say(self, text: str, *, conversation: str = "conv-1", turn: str = "turn-1", **more: Any) -> list[Any]:
        event = {"type": "message", "text": text, "turn_id": turn, "session_id": "sess-1", **more}
        async with self.client.deliver({**event, "conversation_id": conversation}) as answer:
            return [frame async for frame in answer.frames()]

    async def send(self, event: Mapping[str, Any]) -> int:
        async with self.client.deliver({"conversation_id": "conv-1", "session_id": "sess-1", **event}) as answer:
            return answer.status

    async def stop(self) -> tuple[int, float]:
        """Stop the server with SIGTERM. Return its exit code and the seconds until its end."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(self.process.wait(), 100)
        return code, time.monotonic() - begun

    @property
    def printed(self) -> str:
        return (self.folder / "output.txt").read_text()

    @property
    def logged(self) -> str:
        return "".join(path.read_text() for path in sorted((self.folder / "logs").rglob("*.log")))


@asynccontextmanager
async def observed(
    folder: Path, *options: str, agent: str = AGENT, name: str = "observed", prefix: Sequence[str] = (), **env: str
) -> AsyncIterator[Observed]:
    agents = folder / "agents"
    agents.mkdir(exist_ok=True)
    (agents / f"{name}.py").write_text(agent)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    defaults = {"LAYERCODE_WEBHOOK_SECRET": SECRET, "TELEMETRY_ENABLED": "true", "LOG_DIR": "logs"}
    arguments = ("run", "--agent", name, "--host", "127.0.0.1", "--port", str(port), *options)
    async with command(*arguments, cwd=folder, env={**defaults, **env}, prefix=prefix) as process:
        await listening(url, process)
        async with WebhookClient(url + "/api/agent", SECRET) as client:
            yield Observed(url, process, folder, client)


def spoken(frames: list[Any]) -> str:
    return "".join(frame.content for frame in frames if frame.type == "response.tts")

"""The servers to compare, each in a separate process: ours, and bare ASGI apps that do the same work by hand."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .load import SECRET

TOKENS = 10
TOKEN_SECONDS = 0.01


async def model_stream(messages: Any, info: Any) -> AsyncIterator[str]:
    """Stream like a model: ten words, ten milliseconds apart."""
    holding = "hold" in str(messages[-1].parts[-1].content)
    for number in range(TOKENS):
        yield f"word{number} "
        await asyncio.sleep(3600 if holding else TOKEN_SECONDS)


def agent() -> Any:
    """Return the agent that both sides of the TTFS benchmark run."""
    from pydantic_ai import Agent
    from pydantic_ai.models.function import FunctionModel

    return Agent(FunctionModel(stream_function=model_stream), instructions="Be brief.")


async def _verified(scope: Any, receive: Any) -> dict[str, Any]:
    body = (await receive())["body"]
    header = dict(scope["headers"])[b"layercode-signature"].decode()
    at, _, signature = header.partition(",v1=")
    expected = hmac.new(SECRET.encode(), at[2:].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(expected, signature)
    assert abs(time.time() - int(at[2:])) < 300
    return dict(json.loads(body))


def _sse(kind: str, turn: str, content: str | None = None) -> bytes:
    payload = {"type": kind, "turn_id": turn} | ({} if content is None else {"content": content})
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


_START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}


async def bare_echo(scope: Any, receive: Any, send: Any) -> None:
    """Check the signature, and answer with the two frames of an echo turn. This is an ASGI app without a framework."""
    if scope["type"] != "http":
        return
    event = await _verified(scope, receive)
    await send(_START)
    frame = _sse("response.tts", event["turn_id"], f"You said: {event['text']}")
    await send({"type": "http.response.body", "body": frame, "more_body": True})
    await send({"type": "http.response.body", "body": _sse("response.end", event["turn_id"])})


def bare_agent() -> Any:
    """Return a bare ASGI app that runs the agent of `agent()` with PydanticAI's `run_stream_events`."""
    return agent_app(agent())


def agent_app(model: Any) -> Any:
    """Return a bare ASGI app that answers with `model`, which is a PydanticAI agent."""
    from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        event = await _verified(scope, receive)
        await send(_START)
        async with model.run_stream_events(event["text"]) as events:
            async for part in events:
                text = ""
                if isinstance(part, PartStartEvent) and isinstance(part.part, TextPart):
                    text = part.part.content
                elif isinstance(part, PartDeltaEvent) and isinstance(part.delta, TextPartDelta):
                    text = part.delta.content_delta
                if text:
                    frame = _sse("response.tts", event["turn_id"], text)
                    await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": _sse("response.end", event["turn_id"])})

    return app


def ours_over_http() -> Any:
    """Return our server with a model over HTTP. The model's URL is in the file `model-url` of the working directory."""
    os.environ["OPENAI_BASE_URL"] = Path("model-url").read_text()
    os.environ["OPENAI_API_KEY"] = "test-key"
    return ours(model="openai-chat:gpt-test")


def ours(*, with_agent: bool = False, holding: bool = False, model: str | None = None, guard: Any = None) -> Any:
    """Return our server with journal and JSON log. The journal is in the working directory."""
    from layercode_app import LayerCode, VoiceAgent, load_settings
    from layercode_app.observability.setup import configure
    from layercode_app.server.collector import spare_the_collector

    settings = load_settings(
        {"webhook_secret": SECRET, "store": "sqlite:///journal.sqlite3", "log_format": "json", "log_dir": ""},
        env_file=None,
        toml_file=None,
    )
    configure(settings)
    spare_the_collector()
    if with_agent or model:
        return LayerCode(VoiceAgent("model", agent(), guard=guard), settings=settings, model=model)
    echo = VoiceAgent("echo")

    async def repeat(turn: Any) -> str:
        return f"You said: {turn.text}"

    async def hold(turn: Any) -> AsyncIterator[str]:
        yield f"You said: {turn.text}"
        if turn.text == "hold":
            await asyncio.sleep(3600)

    echo.on_message(hold if holding else repeat)
    return LayerCode(echo, settings=settings)


def bare() -> Any:
    """Return an ASGI app that checks the signature and echoes the caller's words, and does nothing else."""
    return bare_echo


bare_agent_holding = bare_agent
"""The model keeps the stream open if the caller says `hold`."""


def ours_holding() -> Any:
    """Return our echo server, which keeps the stream open if the caller says `hold`."""
    return ours(holding=True)


def ours_with_agent_holding() -> Any:
    """Return our server with the agent, whose model keeps the stream open if the caller says `hold`."""
    return ours(with_agent=True)


def ours_with_agent() -> Any:
    """Return our server with the agent of the TTFS benchmark."""
    return ours(with_agent=True)


def ours_with_guard() -> Any:
    """Return our server with a guard, which takes half as long as the reply and then approves it."""

    async def guard(turn: Any) -> str | None:
        await asyncio.sleep(TOKENS * TOKEN_SECONDS / 2)
        return None

    return ours(with_agent=True, guard=guard)


@contextmanager
def serving(factory: str, folder: str, *, cpu: int | None = None) -> Iterator[tuple[int, int]]:
    """Serve an app in a separate process. Yield the port and the process id.

    `factory` names the function of this module that returns the app. `folder` is the working directory.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.servers", factory, str(port)]
    paths = os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH", "")]))
    environment = os.environ | {"PYTHONPATH": paths}
    with Path(folder, "server.err").open("wb") as errors:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=errors, stderr=errors)
    try:
        if cpu is not None and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(process.pid, {cpu})
        _wait_for(port, process)
        yield port, process.pid
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            # A bare app does not notice that its callers have disconnected, and waits until its streams end.
            process.kill()
            process.wait(5)


def main(factory: str, port: int) -> None:
    """Serve the app that the function `factory` of this module returns.

    Our server gets the uvicorn options that `run` uses. The other apps get plain ones.
    """
    import uvicorn

    from layercode_app.server.app import LayerCode
    from layercode_app.server.serve import uvicorn_options

    app = globals()[factory]()
    common: dict[str, Any] = {"http": "httptools", "access_log": False, "log_level": "warning"}
    if isinstance(app, LayerCode):
        common = uvicorn_options(app.settings)
    uvicorn.run(app, **common | {"host": "127.0.0.1", "port": port, "loop": "uvloop"})


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError("the server ended before it listened")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the server never listened")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

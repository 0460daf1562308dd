"""SIGTERM and SIGHUP on a real server: no call is cut before the drain period is over, unless a second signal comes.

Each call gets one `response.end`, and the exit code is 0.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from layercode_app.emulator.webhooks import WebhookClient
from layercode_app.server.serve import WORKER_SECONDS

from ..forked import AsyncProcess
from ..ports import free_port
from ..processes import START_SECONDS, command, hangs_up, listening
from ..waiting import until

pytestmark = pytest.mark.anyio

SECRET = "test-secret"
AGENT = """
import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from layercode_app import Turn, VoiceAgent

agent = VoiceAgent("talker")
time.sleep(float(os.environ.get("LOADING_SECONDS", "0")))

@agent.on_message
async def talk(turn: Turn) -> AsyncIterator[str]:
    words, pause = turn.text.split()
    for number in range(int(words)):
        yield f"Word {number}" + (". " if number % 3 == 2 else ", ")
        await asyncio.sleep(float(pause))
        if Path("enough").exists():
            return
"""


@dataclass
class Stream:
    spoken: str = ""
    types: list[str] = field(default_factory=list)


@dataclass
class Server:
    url: str
    process: AsyncProcess
    client: WebhookClient

    async def talk(self, number: int, text: str, begun: asyncio.Event | None = None) -> Stream:
        event = {"type": "message", "text": text, "turn_id": f"t{number}", "session_id": "s"}
        stream = Stream()
        async with self.client.deliver({**event, "conversation_id": f"c{number}"}) as answer:
            async for frame in answer.frames():
                stream.types.append(frame.type)
                stream.spoken += str(frame.content) if frame.type == "response.tts" else ""
                if begun is not None:
                    begun.set()
        return stream

    async def exit_code(self) -> int:
        return await asyncio.wait_for(self.process.wait(), START_SECONDS)


@asynccontextmanager
async def running(folder: Path, *options: str, prefix: Sequence[str] = (), **env: str) -> AsyncIterator[Server]:
    agents = folder / "agents"
    agents.mkdir(exist_ok=True)
    (agents / "talker.py").write_text(AGENT)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    arguments = ("run", "--agent", "talker", "--host", "127.0.0.1", "--port", str(port), *options)
    given = {"LAYERCODE_WEBHOOK_SECRET": SECRET, **env}
    async with command(*arguments, cwd=folder, env=given, prefix=prefix) as process:
        await listening(url, process)
        async with WebhookClient(url + "/api/agent", SECRET) as client:
            yield Server(url, process, client)


async def begin(server: Server, count: int, text: str) -> list[asyncio.Task[Stream]]:
    """Start a number of streams, and wait until each has spoken."""
    begun = [asyncio.Event() for _ in range(count)]
    tasks = [asyncio.create_task(server.talk(n, text, event)) for n, event in enumerate(begun)]
    async with asyncio.timeout(START_SECONDS):
        await asyncio.gather(*(event.wait() for event in begun))
    return tasks


def assert_ended_once(streams: list[Stream]) -> None:
    assert {stream.types.count("response.end") for stream in streams} == {1}
    assert {stream.types[-1] for stream in streams} == {"response.end"}


@pytest.mark.slow
async def test_300_streams_finish_within_the_drain_period(tmp_path: Path) -> None:
    async with running(tmp_path, LAYERCODE_DRAIN_SECONDS="300") as server:
        tasks = await begin(server, 300, "1000 0.4")
        server.process.send_signal(signal.SIGTERM)
        # Each request has a new connection, because the server closes idle connections.
        async with httpx.AsyncClient(headers={"connection": "close"}) as client:
            # The signal is handled at the next tick of the server's loop.
            async with asyncio.timeout(START_SECONDS):
                while (ready := await client.get(server.url + "/ready")).status_code == 200:
                    await asyncio.sleep(0.05)
        late = await server.talk(999, "3 0")
        (tmp_path / "enough").touch()
        streams = await asyncio.gather(*tasks)
        code = await server.exit_code()

    assert ready.status_code == 503
    assert ready.json()["components"]["server"]["reason"] == "draining"
    assert late.types == ["response.tts", "response.end"]
    assert "try again in a moment" in late.spoken
    assert_ended_once(streams)
    whole = "".join(f"Word {n}" + (". " if n % 3 == 2 else ", ") for n in range(1000))
    assert all(whole.startswith(stream.spoken) for stream in streams)
    assert code == 0


@pytest.mark.slow
async def test_300_streams_that_take_longer_end_with_their_sentence_and_a_goodbye(tmp_path: Path) -> None:
    async with running(tmp_path, LAYERCODE_DRAIN_SECONDS="1", LAYERCODE_GOODBYE=" Goodbye!") as server:
        tasks = await begin(server, 300, "1000 0.4")
        server.process.send_signal(signal.SIGTERM)
        streams = await asyncio.gather(*tasks)
        code = await server.exit_code()

    assert_ended_once(streams)
    assert all(stream.spoken.endswith(" Goodbye!") for stream in streams)
    said = [stream.spoken.removesuffix(" Goodbye!").rstrip() for stream in streams]
    assert all(text.endswith(".") for text in said)
    assert code == 0


async def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    async with running(tmp_path, LAYERCODE_DRAIN_SECONDS="600", LAYERCODE_GOODBYE=" Goodbye!") as server:
        tasks = await begin(server, 5, "10000 0.2")
        server.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.6)
        assert not any(task.done() for task in tasks)
        server.process.send_signal(signal.SIGTERM)
        streams = await asyncio.gather(*tasks)
        code = await server.exit_code()

    assert_ended_once(streams)
    assert code == 0


@hangs_up
@pytest.mark.parametrize("options", [(), pytest.param(("--reload",), marks=pytest.mark.slow)], ids=["alone", "reload"])
async def test_a_closed_terminal_ends_it_like_sigterm(tmp_path: Path, options: Sequence[str]) -> None:
    async with running(tmp_path, *options, LAYERCODE_DRAIN_SECONDS="30") as server:
        tasks = await begin(server, 3, "5 0.2")
        server.process.send_signal(signal.SIGHUP)
        streams = await asyncio.gather(*tasks)
        code = await server.exit_code()

    assert_ended_once(streams)
    assert {stream.spoken.count("Word") for stream in streams} == {5}
    assert code == 0


@pytest.mark.slow
@hangs_up
async def test_a_worker_that_gets_the_signals_of_the_terminal_and_of_its_parent_drains(tmp_path: Path) -> None:
    async with running(tmp_path, "--workers", "2", LAYERCODE_DRAIN_SECONDS="30") as server:
        tasks = await begin(server, 6, "20 0.2")
        os.killpg(server.process.pid, signal.SIGHUP)
        streams = await asyncio.gather(*tasks)
        server.process.send_signal(signal.SIGTERM)
        code = await server.exit_code()

    assert_ended_once(streams)
    assert {stream.spoken.count("Word") for stream in streams} == {20}
    assert code == 0


async def test_with_nohup_a_closed_terminal_changes_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, prefix=("nohup",)) as server:
        tasks = await begin(server, 1, "2 0.4")
        server.process.send_signal(signal.SIGHUP)
        assert_ended_once(await asyncio.gather(*tasks))
        assert (await server.talk(9, "1 0")).spoken == "Word 0, "


@pytest.mark.slow
async def test_a_worker_that_ends_while_its_parent_waits_for_its_answer_delays_no_shutdown(tmp_path: Path) -> None:
    async with running(tmp_path, "--workers", "2") as server:
        # Choose a worker. The server has one more child, which is the resource tracker of `multiprocessing`.
        children = psutil.Process(server.process.pid).children()
        worker = next(child for child in children if "spawn_main" in str(child.cmdline()))
        worker.suspend()
        await asyncio.sleep(2)  # The parent asks every half second whether the worker lives.
        server.process.send_signal(signal.SIGINT)
        worker.kill()
        begun = time.monotonic()
        assert await server.exit_code() == 0
    assert time.monotonic() - begun < WORKER_SECONDS - 5


@pytest.mark.slow
async def test_every_worker_drains(tmp_path: Path) -> None:
    async with running(tmp_path, "--workers", "2", LAYERCODE_DRAIN_SECONDS="30") as server:
        tasks = await begin(server, 20, "10 0.2")
        server.process.send_signal(signal.SIGTERM)
        streams = await asyncio.gather(*tasks)
        code = await server.exit_code()

    assert_ended_once(streams)
    assert {stream.spoken.count("Word") for stream in streams} == {10}
    assert code == 0


async def test_turns_past_the_limit_hear_that_it_is_busy_and_the_others_are_not_disturbed(tmp_path: Path) -> None:
    async with running(tmp_path, LAYERCODE_MAX_TURNS="2", LAYERCODE_BUSY="Busy!") as server:
        tasks = await begin(server, 2, "5 0.2")
        third = await server.talk(3, "1 0")
        same = await server.talk(1, "5 0.2")  # delivered again: joins the one that runs
        streams = await asyncio.gather(*tasks)
        after = await server.talk(4, "1 0")

    assert (third.types, third.spoken) == (["response.tts", "response.end"], "Busy!")
    assert {stream.spoken.count("Word") for stream in [*streams, same]} == {5}
    assert after.spoken == "Word 0, "


@pytest.mark.slow
async def test_while_one_worker_drains_the_others_take_the_calls(tmp_path: Path) -> None:
    # A worker needs more than six seconds to be ready. Uvicorn would wait for it only five seconds.
    async with running(tmp_path, "--workers", "2", LAYERCODE_DRAIN_SECONDS="60", LOADING_SECONDS="6") as server:
        tasks = await begin(server, 6, "1000 0.2")
        server.process.send_signal(signal.SIGHUP)  # replaces the workers one by one
        await until(lambda: "Shutting down" in (tmp_path / "output.txt").read_text(), seconds=100)
        assert not all(task.done() for task in tasks)
        late = await asyncio.gather(*(server.talk(100 + number, "1 0") for number in range(30)))
        (tmp_path / "enough").touch()
        streams = await asyncio.gather(*tasks)
        server.process.send_signal(signal.SIGTERM)
        code = await server.exit_code()

    assert_ended_once([*streams, *late])
    assert all("goodbye" not in stream.spoken.lower() for stream in streams)
    assert {stream.spoken for stream in late} == {"Word 0, "}
    assert code == 0

"""`bench` counts every turn once, as a time, an interruption or an error, and compares targets in each round."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic_ai import Agent
from pydantic_ai.models.function import FunctionModel
from typer.testing import CliRunner

from layercode_app import LayerCode, VoiceAgent
from layercode_app.cli.main import app as command
from layercode_app.cli.main import exit_code
from layercode_app.exceptions import ConfigurationError, DeliveryError
from layercode_app.testing.bench import hedges
from layercode_app.testing.bench.bench_page import as_html
from layercode_app.testing.bench.connection import Address
from layercode_app.testing.bench.load import Load
from layercode_app.testing.bench.measure import Target, bench, measure
from layercode_app.testing.bench.measured import Measured, Sample, Series, ratios
from layercode_app.testing.bench.result import Result
from layercode_app.testing.bench.tables import figures
from layercode_app.testing.bench.usage import Server as Processes
from layercode_app.testing.bench.usage import Used, server_of

from .. import forked
from ..broken.faults import frames
from ..broken.server import SECRET, Server
from ..calling import settings
from ..ports import free_port
from ..processes import ROOT, clean_environment
from ..serving import serve

pytestmark = pytest.mark.anyio
SOMETIMES_FAILS = """
from layercode_app import VoiceAgent

agent = VoiceAgent("sometimes")


@agent.on_message
async def answer(turn):
    if turn.text == "fail":
        raise RuntimeError("boom")
    return "Hi"
"""


class Timed(Server):
    """A server that notes when each turn arrived."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived: list[float] = []

    def read(self, scope: Any, body: bytes) -> Any:
        self.arrived.append(time.monotonic())
        return super().read(scope, body)


class HangsUp:
    """A server that answers one request of each connection as if it kept the connection open, and then closes it."""

    def __init__(self) -> None:
        self.connections = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None
        await reader.readexactly(int(length[1]))
        body = b'data: {"type":"response.tts","content":"Hi"}\n\ndata: {"type":"response.end"}\n\n'
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(body))
        writer.write(body)
        writer.close()


def target(url: str, secret: str = SECRET) -> Target:
    return Target("there", url, secret)


@pytest.mark.slow
async def test_every_turn_is_measured_and_every_caller_has_a_conversation() -> None:
    server, ended = Server(), []
    async with serve(server) as url:
        load = Load(callers=4, turns=3, ramp=0.05, think=0.01)
        told = (await bench(target(url), load, done=lambda: ended.append(1))).to_json()
    assert (told["turns"], told["interrupted"], told["errors"], len(ended)) == (12, 0, {}, 12)
    assert 0 < told["ttfs_ms"]["p50"] <= told["ttfs_ms"]["p99"] <= told["total_ms"]["p99"]
    assert sorted(map(len, server.said.values())) == [3, 3, 3, 3]


async def test_what_is_said_may_be_given() -> None:
    server = Server()
    async with serve(server) as url:
        await bench(target(url), Load(callers=1, turns=3, say=("One", "Two")))
    assert list(server.said.values()) == [["One", "Two", "One"]]


async def test_callers_who_are_together_wait_for_each_other() -> None:
    server = Timed()
    async with serve(server) as url:
        await bench(target(url), Load(callers=5, turns=2, arrivals="together", think=0.5))
    first, second = sorted(server.arrived)[:5], sorted(server.arrived)[5:]
    assert second[0] - first[0] >= 0.5
    assert second[0] > first[-1]


async def test_interrupted_turns_are_kept_out_of_the_times() -> None:
    async with serve(Server()) as url:
        measured = await bench(target(url), Load(callers=4, turns=5, interrupt=0.5), seed=1)
    assert 0 < measured.interrupted < 20
    assert len(measured.total) == 20 - measured.interrupted


async def test_failures_are_counted_by_what_they_are() -> None:
    load = Load(callers=2, turns=1, timeout=30)
    async with serve(frames.NeverEnds()) as url:
        assert (await bench(target(url), load)).errors == {"no response.end": 2}
        assert (await bench(target(url, "test-wrong"), load)).errors == {"status 401": 2}
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0) as closing:
        url = f"http://127.0.0.1:{closing.sockets[0].getsockname()[1]}"
        assert (await bench(target(url), load)).errors == {"broken": 2}
    assert (await bench(target(f"http://127.0.0.1:{free_port()}"), load)).errors == {"unreachable": 2}


async def test_an_answer_that_does_not_come_is_an_error() -> None:
    async def silent(scope: Any, receive: Any, send: Any) -> None:
        while scope["type"] == "http" and (await receive())["type"] != "http.disconnect":
            pass

    async with serve(silent, lifespan="off") as url:
        assert (await bench(target(url), Load(callers=2, turns=1, timeout=0.2))).errors == {"timeout": 2}


async def test_an_agent_that_never_speaks_is_an_error() -> None:
    async def mute(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        turn = json.loads((await receive())["body"])["turn_id"]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        end = json.dumps({"type": "response.end", "turn_id": turn})
        await send({"type": "http.response.body", "body": f"data: {end}\n\n".encode()})

    async with serve(mute, lifespan="off") as url:
        measured = await bench(target(url), Load(callers=2, turns=1))
    assert measured.errors == {"nothing was said": 2}
    assert (measured.turns, measured.ttfs) == (0, [])


async def test_a_connection_that_the_server_closed_is_opened_again() -> None:
    server = HangsUp()
    async with await asyncio.start_server(server.answer, "127.0.0.1", 0) as listening:
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        measured = await bench(target(url), Load(callers=1, turns=3))
    assert (len(measured.total), measured.errors) == (3, {})
    assert server.connections >= 3


@pytest.mark.parametrize("url", ["ftp://host/x", "http:/x", "/x", "http://host:port/", "http://:80/"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(ConfigurationError, match="URL"):
        Address(url)


def test_a_request_keeps_the_query_and_the_host() -> None:
    request = Address("http://example.test:81/a/b?c=d").request({"type": "message"}, SECRET)
    assert request.startswith(b"POST /a/b?c=d HTTP/1.1\r\nhost: example.test:81\r\n")
    assert request.endswith(b'\r\n\r\n{"type":"message"}')


# --- comparison


def series(name: str, *times: float, cpu: float = 0.1) -> Series:
    """Return a series with one round for each of `times`. Each round has a single turn, which took that time."""
    rounds = [
        Measured("http://x", [Sample(0, 0.5, time, time)], seconds=1.0, server=Used(cpu, 1, [(0.0, 50.0), (1.0, 60.0)]))
        for time in times
    ]
    return Series(name, "http://x", "spread", rounds)


def test_ratios_are_the_medians_of_those_of_each_round() -> None:
    # In the second round, the machine was ten times slower for both webhooks.
    (found,) = ratios([series("a", 10, 100, 10), series("b", 20, 200, 30, cpu=0.3)])
    assert (found["target"], found["to"], found["ttfs_ms.p50"], found["cpu_ms_per_turn"]) == ("b", "a", 2.0, 3.0)


def test_what_was_not_measured_has_no_ratio() -> None:
    remote = series("b", 20)
    remote.rounds[0].server = None
    (found,) = ratios([series("a", 10), remote])
    assert (found["cpu_ms_per_turn"], found["rss_mb_peak"]) == (None, None)
    assert remote.to_json()["server"] is None


@pytest.mark.slow
async def test_rounds_alternate_and_every_first_turn_is_not_counted() -> None:
    one, two = Timed(), Timed()
    async with serve(one) as first, serve(two) as second:
        targets = [Target("a", first, SECRET), Target("b", second, SECRET)]
        found = await measure(targets, Load(callers=2, turns=2), arrivals=("spread", "together"), rounds=2)
    assert [(one.target, one.arrivals) for one in found] == [
        ("a", "spread"), ("b", "spread"), ("a", "together"), ("b", "together")
    ]  # fmt: skip
    assert [[measured.turns for measured in one.rounds] for one in found] == [[4, 4]] * 4
    assert len(one.arrived) == len(two.arrived) == 17
    order = "".join(name for _, name in sorted([(at, "a") for at in one.arrived] + [(at, "b") for at in two.arrived]))
    assert order[2:] == ("aaaa" + "bbbb") * 2 + ("bbbb" + "aaaa") * 2


async def test_a_target_that_cannot_be_measured_says_why_at_once() -> None:
    async with serve(Server()) as url:
        with pytest.raises(DeliveryError, match="--secret or LAYERCODE_WEBHOOK_SECRET") as error:
            await measure([target(url, "test-wrong")], Load())
        assert exit_code(error.value) == 1
    with pytest.raises(DeliveryError, match="Check that the server runs"):
        await measure([target(f"http://127.0.0.1:{free_port()}/api/agent")], Load())


# --- the server's processes


async def test_the_processes_of_a_local_server_are_found_and_of_no_other() -> None:
    async with serve(Server()) as url:
        here = server_of(url)
        assert here is not None
        async with here.watched() as used:
            sum(range(3_000_000))
    assert used.cpu_seconds > 0
    assert used.processes >= 1
    assert used.peak_mb >= used.before_mb > 1
    assert server_of(f"http://127.0.0.1:{free_port()}") is None
    assert server_of("https://voice.example.test/api/agent") is None


async def test_every_process_that_holds_the_port_is_watched() -> None:
    """Workers inherit the port, so several processes hold it, but the system names only one of them."""
    waits = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        worker = subprocess.Popen(waits, stdin=subprocess.PIPE, pass_fds=[listening.fileno()])
        found = server_of(f"http://127.0.0.1:{port}")
        assert found is not None
        async with found.watched() as used:
            pass
        assert worker.stdin is not None
        worker.stdin.close()
        worker.wait(30)
    assert used.processes >= 2


async def test_a_process_that_has_gone_uses_nothing() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    async with Processes([gone.pid]).watched() as used:
        pass
    assert (used.cpu_seconds, used.processes) == (0.0, 0)


# --- the command


@pytest.fixture
def compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Let `bench` serve and compare two agents. Yield its JSON output, with its HTML page under the key `page`."""
    monkeypatch.chdir(tmp_path)
    for name, value in clean_environment().items():
        monkeypatch.setenv(name, value)
    page = tmp_path / "bench.html"
    words = ["bench", "echo", "bakery", "--agents", str(ROOT / "agents"), "-c", "2", "-t", "2", "-r", "1"]
    result = CliRunner().invoke(command, [*words, "--arrivals", "both", "--html", str(page), "--json"])
    assert result.exit_code == 0, result.output
    yield json.loads(result.stdout) | {"page": page.read_text(encoding="utf-8")}
    assert [path.name for path in tmp_path.iterdir()] == ["bench.html"]


@pytest.mark.slow
def test_agents_are_served_for_the_measurement_and_compared(compared: dict[str, Any]) -> None:
    names = [(one["target"], one["arrivals"]) for one in compared["targets"]]
    assert names == [("echo", "spread"), ("bakery", "spread"), ("echo", "together"), ("bakery", "together")]
    assert all(one["turns"] == 4 and not one["errors"] for one in compared["targets"])
    assert all(one["server"]["rss_mb_peak"] > 20 for one in compared["targets"])
    assert [one["to"] for one in compared["ratios"]] == ["echo", "echo"]
    assert all(one["ttfs_ms.p50"] > 0 for one in compared["ratios"])
    assert "bakery, together" in compared["page"]
    left = [" ".join(child.cmdline()) for child in psutil.Process().children()]
    assert not [words for words in left if "layercode_app run" in words]


def test_an_unknown_agent_and_a_missing_secret(tmp_path: Path) -> None:
    def run(*words: str) -> tuple[int, str]:
        done = forked.run(["-m", "layercode_app", "bench", *words], cwd=tmp_path, env=clean_environment())
        return done.returncode, done.stderr

    code, said = run("nobody", "--agents", str(ROOT / "agents"))
    assert code == 3
    assert "'nobody' not found" in said
    assert "bakery" in said
    code, said = run("http://127.0.0.1:9/api/agent")
    assert (code, "LAYERCODE_WEBHOOK_SECRET" in said) == (2, True)
    code, said = run(f"http://127.0.0.1:{free_port()}/api/agent", "--secret", "test", "--json")
    assert (code, "Check that the server runs" in said) == (1, True)


def test_a_turn_that_ends_with_an_apology_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sometimes.py").write_text(SOMETIMES_FAILS)
    for name, value in clean_environment().items():
        monkeypatch.setenv(name, value)
    words = ["bench", "sometimes", "--agents", str(tmp_path), "-c", "2", "-t", "2", "--say", "fine", "--say", "fail"]
    result = CliRunner().invoke(command, [*words, "--json"])
    assert result.exit_code == 1
    [found] = json.loads(result.stdout)["targets"]
    assert (found["turns"], found["errors"]) == (2, {"failed with RuntimeError": 2})


async def test_a_turn_that_the_journal_does_not_have_is_an_error(tmp_path: Path) -> None:
    """The server of this test writes no journal, like a server that is too busy to write it."""
    async with serve(Server()) as url:
        unrecorded = Target("there", url, SECRET, journal=f"sqlite:///{tmp_path}/journal.sqlite3")
        assert (await bench(unrecorded, Load(callers=1, turns=2))).errors == {"not recorded": 2}


@pytest.mark.slow
def test_the_served_agent_is_stopped_with_the_command(tmp_path: Path) -> None:
    words = ["bench", "echo", "--agents", str(ROOT / "agents"), "-c", "1", "-t", "1000", "--think", "1"]
    process = psutil.Popen([sys.executable, "-m", "layercode_app", *words], cwd=tmp_path, env=clean_environment())
    children: list[psutil.Process] = []
    deadline = time.monotonic() + 60
    while not (children and children[0].net_connections("tcp")) and time.monotonic() < deadline:
        children = process.children()
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    assert children
    assert not psutil.wait_procs(children, timeout=30)[1]


def test_people_see_the_figures_and_what_failed() -> None:
    good = series("a", 10)
    failed = series("b", 20)
    failed.rounds[0].errors["status 500"] += 3
    failed.rounds[0].server = None
    result = Result(Load(callers=1, turns=1), "spread", 1, [good, failed])
    page = as_html(result)
    assert '<td class="bad">3 x status 500</td>' in page
    assert "not measured" in page
    assert "b as a multiple of a" in page
    assert "2.00 x" in page
    assert not re.search(r"<script|https?://(?!x)", page)


async def test_requests_that_the_server_sent_twice_are_shown(tmp_path: Path) -> None:
    sent = 0

    async def answer(messages: Any, info: Any) -> AsyncIterator[str]:
        nonlocal sent
        sent += 1
        await asyncio.sleep(60 if sent % 2 else 0)
        yield "Good day."

    voice = VoiceAgent("slow", Agent(FunctionModel(stream_function=answer)), hedge_after=0.01)
    app = LayerCode(voice, settings=settings(tmp_path), metrics=True)
    async with serve(app) as url:
        target = Target("slow", f"{url}/api/agent", "test-secret", server_of(url))
        (series,) = await measure([target], Load(callers=1, turns=2, think=0), rounds=2)
        assert await hedges._read(f"{url}/nowhere") is None
    assert series.to_json()["hedges"] == {"sent": 4, "won": 4}
    result = Result(Load(callers=1, turns=2), "spread", 2, [series])
    assert ("requests sent twice", ["4; second copy answered first: 4"]) in figures(result)
    assert "requests sent twice" not in dict(
        figures(Result(Load(), "spread", 1, [Series("a", "b", "spread", [Measured("b")])]))
    )

"""`run` and `dev` begin by printing three lines: the agents, the disabled features, and the address.

If the port is taken, `run` refuses to start, and `dev` uses the next free port. Both name the port.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from layercode_app import ConfigurationError
from layercode_app.observability import console
from layercode_app.server.announce import announce_address
from layercode_app.server.port import check_port, listen, listen_from

from ..calling import SECRET
from ..output.commands import Stream
from ..processes import START_SECONDS, command, run

pytestmark = pytest.mark.anyio

AGENTS = """
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel

from layercode_app import VoiceAgent

first = VoiceAgent("first", Agent(TestModel(model_name="tested")))
second = VoiceAgent("second", Agent())
third = VoiceAgent("third", greeting="Hello")
fourth = VoiceAgent("fourth", Agent(TestModel(model_name="tested")))
"""
RUN = {"LAYERCODE_WEBHOOK_SECRET": SECRET, "LAYERCODE_STORE": "memory"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "several.py").write_text(AGENTS)
    return tmp_path


@asynccontextmanager
async def started(*arguments: str, cwd: Path, last: str, **env: str) -> AsyncIterator[list[str]]:
    """Start a server, and wait until it has printed `last`. Yield the lines that it printed, without their times."""
    output = cwd / "output.txt"
    async with command(*arguments, cwd=cwd, env=env) as process:
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while last not in output.read_text():
            assert process.returncode is None, output.read_text()
            assert asyncio.get_running_loop().time() < deadline, output.read_text()
            await asyncio.sleep(0.05)
        yield [line.partition(" ")[2] for line in output.read_text().splitlines()]
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), START_SECONDS)


@contextmanager
def taken() -> Iterator[int]:
    """A port on which another program listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


# --- the three lines


@pytest.mark.parametrize("more", [(), ("--workers", "2")], ids=["alone", "workers"])
async def test_run_starts_with_three_lines(more: tuple[str, ...], project: Path) -> None:
    arguments = ("run", "--agent", "first", "--host", "127.0.0.1", "--port", "0", *more)
    env = RUN | ({"LAYERCODE_STORE": "sqlite:///journal.sqlite3"} if more else {})
    async with started(*arguments, cwd=project, last="Serving", **env) as lines:
        agents, off, address = lines
    assert (
        agents == "INFO    Agents: first, fourth (test:tested); second (offline, repeats the caller); third (no model)"
    )
    assert off.startswith(
        "INFO    Off: models (DEFAULT_MODEL and its key), traces, errors and metrics (TELEMETRY_ENABLED)"
    )
    # Workers need a store that they share.
    assert off.endswith(
        "log files (LOG_DIR)" if more else "log files (LOG_DIR), a persistent journal (LAYERCODE_STORE)"
    )
    head, port, tail = address.partition("http://127.0.0.1:")[0], *address.split(":")[-1].split("/", 1)
    assert head == "INFO    Serving first at "
    assert int(port) > 0
    assert tail == "api/agent, every agent at /api/agents/NAME"


async def test_all_that_is_on_is_not_off(project: Path) -> None:
    on = {
        **RUN, "TELEMETRY_ENABLED": "true", "LOG_DIR": "logs", "LAYERCODE_STORE": "sqlite:///journal.sqlite3",
        "SENTRY_DSN": "http://public@127.0.0.1:9/1", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
    }  # fmt: skip
    (project / "agents" / "several.py").write_text(AGENTS.replace("Agent())", "Agent(TestModel()))"))
    arguments = ("run", "--agent", "first", "--host", "127.0.0.1", "--port", "0")
    async with started(*arguments, cwd=project, last="Serving", **on) as lines:
        assert "INFO    Off: nothing" in lines, lines


async def test_the_address_is_the_last_line_of_dev_on_the_next_free_port(project: Path) -> None:
    with taken() as port:
        async with started("dev", "--port", str(port), cwd=project, last="Talk to", **RUN) as lines:
            told, agents, off, address = lines
    found = int(address.rpartition(":")[2].rstrip("/"))
    assert found > port
    assert address == f"INFO    Talk to your agent at http://127.0.0.1:{found}/"
    assert told == f"WARNING Port {port} is taken by another program, so this server listens on {found}."
    assert agents.startswith("INFO    Agents: first, ")
    assert off.startswith("INFO    Off: models")


def test_the_address_stands_out_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    from loguru import logger

    shown = Stream(terminal=True)
    monkeypatch.setattr("sys.stderr", shown)
    handler = console.add(level="INFO", brief=False)
    try:
        announce_address("Talk to your agent at {}", "http://127.0.0.1:1/")
        logger.info("Another line")
    finally:
        logger.remove(handler)
    # A thread that another test left behind may log too.
    lines = shown.text.splitlines()
    [address], [other] = ([line for line in lines if text in line] for text in ("Talk to", "Another line"))
    assert "\x1b[36mTalk to your agent" in address
    assert "\x1b[36m" not in other


@pytest.mark.parametrize("options", [("--workers", "2"), ("--reload",)])
async def test_once_the_address_is_printed_a_connection_is_accepted(options: tuple[str, ...], project: Path) -> None:
    env = RUN | {"LAYERCODE_STORE": f"sqlite:///{project}/journal.db"}
    arguments = ("run", "--agent", "third", "--host", "127.0.0.1", "--port", "0", *options)
    async with started(*arguments, cwd=project, last="Serving third", **env) as lines:
        (port,) = re.findall(r"Serving third at http://127.0.0.1:(\d+)/", "\n".join(lines))
        reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
        writer.write(b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        assert b"200 OK" in await asyncio.wait_for(reader.readline(), START_SECONDS)
        writer.close()


# --- no banners


def test_the_banner_of_pydantic_ai_does_not_show(project: Path) -> None:
    # With AI_AGENT, PydanticAI would print its banner even without a terminal, so the test can see it.
    code, printed = run("chat", "--agent", "second", "--say", "hello", cwd=project, AI_AGENT="1")
    assert code == 0, printed
    assert "hello" in printed
    assert "pydantic" not in printed


def test_the_project_link_of_logfire_does_not_show(project: Path) -> None:
    with logfire_api() as url:
        (project / ".logfire").mkdir()
        credentials = {
            "token": "test-token",
            "project_name": "p",
            "project_url": f"{url}/project",
            "logfire_api_url": url,
        }
        (project / ".logfire" / "logfire_credentials.json").write_text(json.dumps(credentials))
        configured = "import logfire\nlogfire.configure(send_to_logfire='if-token-present', metrics=False)\n"
        (project / "agents" / "several.py").write_text(configured + AGENTS)
        code, printed = run("agents", cwd=project)
    assert code == 0, printed
    assert "first" in printed
    assert "project" not in printed


@contextmanager
def logfire_api() -> Iterator[str]:
    """Run a server that names a project for every token, as Logfire's API does for a valid token. Yield its URL."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"project_name": "p", "project_url": "https://logfire.test/project"}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Print nothing."""

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# --- ports


def test_run_refuses_a_port_that_is_taken_before_it_loads_agents(project: Path) -> None:
    (project / "agents" / "several.py").write_text("raise SystemExit('loaded')")
    with taken() as port:
        code, printed = run("run", "--host", "127.0.0.1", "--port", str(port), cwd=project, env=RUN)
    assert code == 2, printed
    assert printed.startswith(
        f"Error: Port {port} on 127.0.0.1 cannot be used: Address already in use. Stop the program"
    )
    suggested = int(printed.rpartition("--port ")[2].rstrip(".\n"))
    assert suggested > port


def test_the_next_free_port_is_taken_at_once() -> None:
    with taken() as port, listen_from("127.0.0.1", port) as one, listen_from("127.0.0.1", port) as two:
        first, second = one.getsockname()[1], two.getsockname()[1]
    assert port < first < second


def test_another_reason_is_told_and_no_other_port_is_tried() -> None:
    for use in (listen, listen_from, check_port):
        with pytest.raises(ConfigurationError, match=r"Port 80 on 192\.0\.2\.1 cannot be used: .*\. Give another"):
            use("192.0.2.1", 80)


def test_an_ipv6_address_is_bound_as_one() -> None:
    told = ""
    try:
        listen("::1", 0).close()
    except ConfigurationError as error:  # on a machine without IPv6
        told = str(error)
    assert "hostname" not in told

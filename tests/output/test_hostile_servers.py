"""Commands that talk to a server with hostile answers: the platform, or another backend."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from layercode_app.cli.connect.steps import tell_of_first_call
from layercode_app.journal.record import Kind, Speech, TurnRecord

from ..hostile import ALL, HALF, LONG, assert_harmless
from .commands import COLUMNS, Command

AGENT = {"id": ALL, "name": ALL, "webhook_url": ALL, "config": {ALL: ALL}}
TRANSCRIPT = [{"role": text, "text": text, "timestamp": text} for text in (ALL, LONG, HALF)]
SESSION = {
    "session_id": ALL,
    "conversation_id": ALL,
    "recording_status": ALL,
    "transcript": TRANSCRIPT,
    "started_at": ALL,
}


class _Hostile(BaseHTTPRequestHandler):
    """Answers the platform's API and a webhook."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if "/sessions/" in self.path:
            self._answer(200, json.dumps(SESSION))
        elif self.path.endswith("/agents"):
            self._answer(200, json.dumps({"agents": [AGENT, AGENT]}))
        else:
            self._answer(
                404 if "missing" in self.path else 200, json.dumps({"error": ALL} if "missing" in self.path else AGENT)
            )

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        if "refuses" in self.path:
            self._answer(500, ALL)
            return
        frames = [{"type": "response.tts", "content": ALL, "turn_id": ALL}, {"type": "response.data", "content": {ALL: HALF}},
                  {"type": ALL, "content": LONG}, {"type": "response.end", "turn_id": ALL}]  # fmt: skip
        self._answer(
            200,
            "".join(f"data: {json.dumps(frame)}\n\n" for frame in frames) + f": {in_one_line(ALL)}\n\n",
            "text/event-stream",
        )

    def _answer(self, status: int, text: str, kind: str = "application/json") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, *about: Any) -> None:
        """Print nothing if a client disconnects.

        The base class would print a traceback, which would look like an error of the command under test.
        """


def in_one_line(text: str) -> str:
    """Return the text with spaces instead of line breaks, so that it fits into one line of a stream."""
    return text.replace("\r", " ").replace("\n", " ")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with _Server(("127.0.0.1", 0), _Hostile) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()


@pytest.fixture
def command(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    given = {
        "COLUMNS": str(COLUMNS), "TERM": "xterm-256color", "LAYERCODE_API_KEY": "test-key-123", "LAYERCODE_AGENT_ID": "a1",
        "LAYERCODE_API_URL": f"{server}/v1", "LAYERCODE_WEBHOOK_SECRET": "test-secret",
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return Command(monkeypatch)


@pytest.mark.parametrize("words", [
    ("agents", "list"), ("agents", "show"), ("session", "s1"), ("agents", "show", "missing"), ("agents", "create"),
], ids=" ".join)  # fmt: skip
def test_the_platform(command: Command, words: tuple[str, ...]) -> None:
    command.run("platform", *words, code=None)
    command.run("platform", *words, code=None, terminal=True)
    if "missing" not in words and "create" not in words:
        assert json.loads(command.run("platform", *words, "--json"))


@pytest.mark.parametrize("path", ["answers", "refuses"])
def test_a_backend(command: Command, server: str, path: str) -> None:
    url = f"{server}/{path}"
    for more in ((), ("--json",)):
        command.run("send", url, *more, code=None)
        command.run("chat", "--url", url, "--say", "hello", *more, code=None)
        command.run("bench", url, "-c", "1", "-t", "1", "--html", "bench.html", *more, code=None)
    command.run("chat", "--url", url, "--say", "hello", terminal=True, code=None)
    command.run("check", url, "--only", "turns", "--timeout", "1", "--junit", "junit.xml", code=None)


def test_the_first_call(capsys: pytest.CaptureFixture[str]) -> None:
    for text in (ALL, LONG, HALF):
        app = SimpleNamespace(on_turn=[])
        tell_of_first_call(app)  # type: ignore[arg-type]
        event = {"from_phone_number": text}
        app.on_turn[0](
            TurnRecord(text, text, Kind.MESSAGE, text, event=event, user_text=text, speech=[Speech("model", 0, text)])
        )
    assert_harmless(capsys.readouterr().out)

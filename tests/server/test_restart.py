"""The same LayerCode app starts again on another event loop.

This happens in the tests of an application that mounts the LayerCode app: each TestClient has a new event loop, and
runs the application and the mounted app on it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from layercode_app import LayerCode, SessionEnd, Turn, VoiceAgent
from layercode_app.webhook import HEADER, sign

from ..calling import SECRET, settings
from ..journals import STORES, journal_url

ended: list[str] = []


def echo() -> VoiceAgent[Any, Any]:
    voice: VoiceAgent[Any, Any] = VoiceAgent("echo", history=True)

    @voice.on_message
    async def answer(turn: Turn[Any]) -> str:
        return f"{len(turn.past)} before {turn.text}"

    @voice.on_session_end
    async def end(event: SessionEnd) -> None:
        ended.append(event.session_id)

    return voice


def post(client: TestClient, event: dict[str, Any], path: str = "/api/agent") -> str:
    body = json.dumps({"conversation_id": "c", **event}).encode()
    response = client.post(path, content=body, headers={HEADER: sign(body, SECRET)})
    assert response.status_code == 200
    return response.text


def say(client: TestClient, number: int, path: str = "/api/agent") -> None:
    event = {"type": "message", "session_id": "s", "turn_id": f"t{number}", "text": "hello"}
    assert f'"content":"{number} before hello"' in post(client, event, path)


def workers(folder: Path) -> Iterator[Path]:
    """The locks of the workers that are alive, if the journal is in SQLite."""
    return folder.glob("journal.sqlite3-workers/*")


@pytest.mark.parametrize("kind", STORES)
def test_the_lifespan_runs_more_than_once(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    app = LayerCode(echo(), settings=settings(tmp_path, store=journal_url(kind, request, tmp_path)))
    ended.clear()
    for number in range(3):
        with TestClient(app) as client:
            say(client, number)
            assert client.get("/ready").json()["status"] == "ok"
            post(client, {"type": "session.end", "session_id": f"s{number}"})
            while len(ended) <= number:
                time.sleep(0.01)
    assert ended == ["s0", "s1", "s2"]


def checkpointing() -> int:
    """The number of open SQLite journals; other tests in this process may have some."""
    return [thread.name for thread in threading.enumerate()].count("journal-checkpoint")


@pytest.mark.parametrize("kind", ["memory", "sqlite"])  # with a server, Python warns about the sockets of a closed loop
def test_an_app_that_no_lifespan_stops_starts_again_on_each_event_loop(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """A mounted app gets no lifespan events, and a TestClient without `with` has an event loop for each request."""
    before = checkpointing()
    app = LayerCode(echo(), settings=settings(tmp_path, store=journal_url(kind, request, tmp_path)))
    host = Starlette(routes=[Mount("/voice", app)])
    for number in range(3):
        with TestClient(host) as client:
            say(client, number, "/voice/api/agent")
            assert client.get("/voice/ready").json()["status"] == "ok"
    without = TestClient(host)
    for number in range(3, 6):
        say(without, number, "/voice/api/agent")
    if kind == "sqlite":
        assert len([*workers(tmp_path)]) == 1, "each start releases what the last one held"
        assert checkpointing() == before + 1
    with TestClient(app):
        """Stop the app."""
    assert [*workers(tmp_path)] == []


def test_the_sinks_are_closed_if_the_app_fails_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = LayerCode(echo(), settings=settings(tmp_path))
    close, closed = app.store.close, threading.Event()
    app.on_stop.append(closed.set)

    async def fail() -> None:
        await close()
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(app.store, "close", fail)
    with pytest.raises(OSError, match="Read-only"), TestClient(app):
        """Stop the app."""
    assert closed.is_set()

"""Every reader handles a journal of an older version, with lone surrogates and numbers that are too large."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from layercode_app.cli.main import app
from layercode_app.journal.record import Frame, Kind, Speech, Status, ToolCall, TurnRecord
from layercode_app.journal.stores.sqlite import SQLiteStore
from layercode_app.replay.recording import read_export

from ..calling import settings
from ..dev.serving import dev_server

HIGH, GONE = "\ud83d", "\ufffd"
HUGE = 10**400
AGENT = """
from layercode_app import Turn, VoiceAgent

agent = VoiceAgent("shop", history=True)


@agent.on_message
async def reply(turn: Turn) -> str:
    turn.score("seen", "\\ud83d")
    turn.data({"half": "\\ud83d"})
    return f"You said {turn.text} and before {turn.past[0].user_text} \\ud83d"
"""


def odd_turn(turn_id: str) -> TurnRecord:
    text = f"half {HIGH}"
    return TurnRecord(
        "call", turn_id, Kind.MESSAGE, "shop",
        status=Status.COMPLETE,
        session_id="s",
        user_text=text,
        heard_text=text,
        event={"type": "message", "conversation_id": "call", "turn_id": turn_id, "session_id": "s", "text": text,
               "metadata": {"n": HUGE, text: text}},
        speech=[Speech("say", 0, text)],
        tools=[ToolCall("1", "look", {"q": text, "n": HUGE}, 1.0, 2.0, "done", text)],
        notes=[text],
        state={"name": text},
        metadata={"n": HUGE, "name": text},
        outcomes=[{"name": text, "value": None}],
        scores={"x": {"value": text, "comment": text}},
        frames=[Frame("response.tts", text, 1.0), Frame("response.data", {"n": HUGE, text: text}), Frame("response.end")],
        timings={"ttfs": 1.0, "total": 2.0},
        started_at=1_700_000_000.0,
        ended_at=1_700_000_000.1,
    )  # fmt: skip


def as_before(value: Any) -> bytes:
    """Encode a value as older versions did: with `json`, which escapes lone surrogates and writes every digit."""
    return json.dumps(value, default=lambda one: {name: getattr(one, name) for name in one.__slots__}).encode()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project folder whose journal has two odd turns, as an older version wrote them."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "journal.sqlite3"
    monkeypatch.setenv("LAYERCODE_STORE", f"sqlite:///{path}")
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "shop.py").write_text(AGENT)
    asyncio.run(_write(path))
    return tmp_path


async def _write(path: Path) -> None:
    store = SQLiteStore(path)
    await store.open()
    for turn_id in ("t1", "t2"):
        record = odd_turn(turn_id)
        await store.begin(record, history_tokens=0)
    await store.establish("call", {})
    await store.close()
    content = b'[{"parts":[{"content":"%s","part_kind":"user-prompt"},{"tool_name":"look","content":{"n":%d},' % (
        b"hi",
        HUGE,
    )
    messages = content + b'"tool_call_id":"1","part_kind":"tool-return"}],"kind":"request"}]'
    with sqlite3.connect(path) as db:
        for turn_id in ("t1", "t2"):
            record = odd_turn(turn_id)
            names = [name for name in record.__slots__ if name not in ("position", "messages", "frames")]
            head, frames = as_before({name: getattr(record, name) for name in names}), as_before(record.frames)
            db.execute(
                "UPDATE turns SET status='complete', head=?, frames=?, messages=? WHERE turn_id=?",
                (head, frames, messages, turn_id),
            )
        kept = as_before({"name": HIGH, "n": HUGE})
        db.execute("UPDATE conversations SET state=?, metadata=?", (kept, kept))
    db.close()


COMMANDS = [
    ("sessions", "list"),
    ("sessions", "list", "--json"),
    ("sessions", "show", "call"),
    ("sessions", "show", "call", "--json"),
    ("sessions", "explain", "call"),
    ("sessions", "explain", "call", "--json"),
    ("sessions", "export", "call", "-o", "call.json"),
    ("sessions", "export", "call", "-o", "call.html", "--html"),
    ("sessions", "export", "call", "-o", "-", "--unredacted"),
    ("report", "--since", "all"),
    ("report", "--since", "all", "--html", "report.html", "--json"),
    ("fork", "call", "--at", "2", "--json"),
    ("fork", "call", "--at", "1", "--rest", "--say", "hello"),
    ("replay", "call", "--json"),
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_reads_it(project: Path, words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, list(words))
    assert not isinstance(done.exception, UnicodeError | ValueError | TypeError), done.exception
    if words[0] != "replay":
        assert done.exit_code == 0, done.output
    (project / "printed").write_text(done.stdout, encoding="utf-8")
    if "--json" in words:
        json.loads(done.stdout)
    for file in [*project.glob("call.*"), *project.glob("*.html")]:
        file.read_text(encoding="utf-8")


@pytest.mark.anyio
async def test_an_export_is_replayed(project: Path) -> None:
    for name in ("call.json", "call.html"):
        options = ["--html"] if name.endswith("html") else []
        done = await asyncio.to_thread(CliRunner().invoke, app, ["sessions", "export", "call", "-o", name, *options])
        assert done.exit_code == 0, done.output
        assert read_export(Path(name)).turns[0].user_text == f"half {GONE}"


@pytest.mark.anyio
async def test_the_dev_page_shows_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    await _write(path)
    values = settings(tmp_path)
    assert values.store.endswith(str(path))
    async with dev_server(tmp_path) as dev, httpx.AsyncClient(base_url=dev.url, trust_env=False) as http:
        for where in (
            "/dev/api/conversations",
            "/dev/api/conversations/call",
            "/dev/api/conversations/call/turns/t1",
            "/dev/api/conversations/call/export",
            "/dev/api/conversations/call/turns/t1/logs",
        ):
            answer = await http.get(where)
            assert answer.status_code in (200, 404), (where, answer.text)
        shown = (await http.get("/dev/api/conversations/call/turns/t1")).json()
        half = b'{"text": "half \\ud83d"}'
        as_json = {"content-type": "application/json"}
        assert (await http.post("/dev/api/speech", content=half, headers=as_json)).status_code == 200
    assert shown["user_text"] == f"half {GONE}"
    assert shown["event"]["metadata"]["n"] == str(HUGE)

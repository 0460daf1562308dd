"""The commands `sessions`, `report` and `logs`, on the journal and the logs of real calls."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from layercode_app import LayerCode
from layercode_app.observability import logs

from .. import forked
from ..calling import calling, settings
from ..priced import inbox, priced_agent

pytestmark = pytest.mark.anyio
CARD = "My number is +14155550123"


@pytest.fixture
def quiet() -> Iterator[None]:
    """After the test, remove all log handlers."""
    yield
    logger.remove()
    logger.configure(patcher=lambda record: None)
    import logging

    logging.getLogger().handlers = []


@pytest.fixture
async def project(tmp_path: Path, quiet: None) -> Path:
    """A folder with the journal and logs of one conversation of five turns: t2 failed, and t3 was interrupted."""
    (tmp_path / ".layercode").mkdir()
    store = f"sqlite:///{tmp_path}/.layercode/journal.sqlite3"
    logs.configure(level="DEBUG", log_dir=str(tmp_path / "logs"))
    async with calling(LayerCode(priced_agent(), settings=settings(tmp_path, store=store))) as caller:
        caller.conversation_id = "call-1"
        await caller.send({"type": "session.start", "turn_id": "g"})
        await caller.say("book a table. " + CARD, turn_id="t1")
        await caller.say("fail", turn_id="t2")
        await caller.say("hello", turn_id="t3")
        await caller.say(
            "wait", turn_id="t4",
            interruption_context={"previous_turn_interrupted": True, "text_heard": "That is", "assistant_turn_id": "t3"},
        )  # fmt: skip
    return tmp_path


def run(folder: Path, *words: str, code: int = 0) -> str:
    """Run a command, and return its output, or its error output if `code` is not 0."""
    done = forked.run(["-m", "layercode_app", *words], cwd=folder, env=os.environ)
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


async def command(folder: Path, *words: str, code: int = 0) -> str:
    return await asyncio.to_thread(run, folder, *words, code=code)


@pytest.mark.slow
async def test_sessions_list_and_show_a_conversation_as_it_was_heard(project: Path) -> None:
    listed = json.loads(await command(project, "sessions", "list", "--json"))
    assert [(row["conversation_id"], row["agent"], row["turns"]) for row in listed] == [("call-1", "priced", 5)]
    assert "call-1" in await command(project, "sessions", "list")

    turns = {
        turn["turn_id"]: turn for turn in json.loads(await command(project, "sessions", "show", "call-1", "--json"))
    }
    assert turns["t1"]["agent_said"] == "Let me see. That is done."
    assert turns["t1"]["tools"][0]["result"] == "Table 4 is booked."
    assert turns["t1"]["cost"] > 0
    assert (turns["t3"]["heard"], turns["t3"]["unheard"], turns["t3"]["status"]) == ("That is", " done.", "interrupted")
    shown = await command(project, "sessions", "show", "call-1")
    assert "Agent:  That is done. (not heard)" in shown
    assert 'book({"table": 4}) done' in shown


@pytest.mark.slow
async def test_without_an_id_the_latest_conversation_is_shown(project: Path) -> None:
    assert await command(project, "sessions") == await command(project, "sessions", "list")
    for name in ("show", "explain"):
        assert await command(project, "sessions", name) == await command(project, "sessions", name, "call-1")
    assert "call-1" in await command(project, "sessions", "export")
    await command(project, "sessions", "forget", "call-1", "--yes")
    refused = await command(project, "sessions", "show", code=1)
    assert "No conversation is in the journal yet." in refused


async def test_sessions_explain_says_for_each_turn_what_happened(project: Path) -> None:
    said = await command(project, "sessions", "explain", "call-1")
    lines = dict(line.split(": ", 1) for line in said.splitlines())
    assert lines["g"].startswith("It went well")
    assert lines["t2"].startswith("It failed with an internal error, after")
    assert "; the caller heard the apology." in lines["t2"]
    assert lines["t3"].startswith("It was cut: the caller interrupted it or left, and heard 2 of 3 words.")


@pytest.mark.slow
async def test_an_unknown_conversation_and_a_missing_journal_are_clear_errors(project: Path, tmp_path: Path) -> None:
    assert "'nobody' is not in the journal" in await command(project, "sessions", "show", "nobody", code=1)
    (tmp_path / "empty").mkdir()
    assert "there is no journal yet" in await command(tmp_path / "empty", "sessions", "list", code=2)
    assert "'soon'" in await command(project, "report", "--since", "soon", code=2)
    assert "--by" in await command(project, "report", "--by", "mood", code=2)


@pytest.mark.slow
async def test_an_export_is_redacted_and_forget_removes_every_trace(project: Path) -> None:
    exports = project / ".layercode" / "exports"
    exports.mkdir(parents=True)
    (exports / "call-1.json").touch(mode=0o644)  # An earlier export that all could read.
    await command(project, "sessions", "export", "call-1")
    await command(project, "sessions", "export", "call-1", "--html")
    page, data = (exports / "call-1.html").read_text(), (exports / "call-1.json").read_text()
    for text in (page, data):
        assert "book a table" in text
        assert "4155550123" not in text
    assert "4155550123" in await command(project, "sessions", "export", "call-1", "-o", "-", "--unredacted")
    assert (exports / "call-1.json").stat().st_mode & 0o077 == 0
    recording = project / ".layercode" / "recordings" / "session-1.wav"
    recording.parent.mkdir()
    recording.write_bytes(b"RIFF")

    done = json.loads(await command(project, "sessions", "forget", "call-1", "--yes", "--json"))
    assert (done["turns"], len(done["files"])) == (5, 3)
    assert not recording.exists()
    assert not list(exports.iterdir())
    for path in (project / ".layercode").glob("journal*"):
        if path.is_file():
            assert b"4155550123" not in path.read_bytes(), path


async def test_forget_empties_the_log_of_a_journal_that_a_server_has_open(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/journal.sqlite3"
    async with calling(LayerCode(priced_agent(), settings=settings(tmp_path, store=store))) as caller:
        caller.conversation_id = "call-1"
        await caller.say(CARD)
        held = b"".join(path.read_bytes() for path in tmp_path.glob("journal.sqlite3*") if path.is_file())
        assert b"4155550123" in held
        await command(tmp_path, "sessions", "forget", "call-1", "--yes", "--store", store)
        held = b"".join(path.read_bytes() for path in tmp_path.glob("journal.sqlite3*") if path.is_file())
        assert b"4155550123" not in held


@pytest.mark.slow
async def test_report_prints_writes_a_page_and_sends_it(project: Path) -> None:
    assert "5 turns in 1 conversation;" in await command(project, "report")
    data = json.loads(await command(project, "report", "--json", "--by", "tool"))
    assert next(tool["key"] for tool in data["tools"]) == "book"
    await command(project, "report", "--html", "report.html")
    assert "<svg" in (project / "report.html").read_text()
    async with inbox() as box:
        (project / "layercode.toml").write_text(f'channels.ops = "{box.url}/hook"\n')
        assert await command(project, "report", "--send", "ops") == "Sent to ops.\n"
        assert "'pager', which does not exist. Existing channels: ops" in await command(
            project, "report", "--send", "pager", code=2
        )
    [sent] = box.bodies
    assert sent["title"].startswith("Voice agent report. Calls from ")
    assert "5 turns in 1 conversation;" in sent["message"]


@pytest.mark.slow
async def test_logs_are_filtered_by_conversation_turn_level_and_agent(project: Path) -> None:
    def lines(text: str) -> list[Any]:
        return [json.loads(line) for line in text.splitlines()]

    every = lines(await command(project, "logs", "--json"))
    assert [line["time"] for line in every] == sorted(line["time"] for line in every)
    turns = [line for line in every if line.get("event") == "turn"]
    assert [line["turn_id"] for line in turns] == ["g", "t1", "t2", "t3", "t4"]
    assert {line["turn_id"] for line in lines(await command(project, "logs", "--json", "--turn", "t1"))} == {"t1"}
    errors = lines(await command(project, "logs", "--json", "--level", "ERROR"))
    assert {line["turn_id"] for line in errors} == {"t2"}
    assert lines(await command(project, "logs", "--json", "--conversation", "other")) == []
    assert (
        lines(await command(project, "logs", "--json", "--agent", "priced", "-n", "2"))
        == [line for line in every if line.get("agent") == "priced"][-2:]
    )
    [shown] = [line for line in (await command(project, "logs", "--turn", "t1")).splitlines() if "event=turn" in line]
    assert re.search(r" requests=2 tokens=\d+\+\d+ cost=\$0\.\d+ ", shown), shown
    assert " headers.user-agent=" in shown
    assert "{" not in shown
    assert "The turn failed" in await command(project, "logs", "--level", "error")
    assert "'banana'" in await command(project, "logs", "--level", "banana", code=2)
    assert "no such folder" in await command(project, "logs", "--log-dir", "nowhere", code=2)

"""What commands print: short errors, short log lines, whole ids in `logs`, and wide tables if there is no terminal."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from layercode_app.agent.discovery import load_file
from layercode_app.exceptions import AgentImportError
from layercode_app.observability import logs
from layercode_app.output.terminal import WIDE
from layercode_app.reports.log_text import details

from ..calling import SECRET
from ..output.commands import Stream
from ..processes import run

FAILING = """
from pydantic_ai import Agent
from pydantic_ai.models.function import FunctionModel

from layercode_app import VoiceAgent


async def fails(messages, info):
    raise ValueError("the model is gone")
    yield ""


agent = VoiceAgent("failing", Agent(FunctionModel(stream_function=fails)))
"""
CATCHING = """
from loguru import logger

from layercode_app import VoiceAgent


def count(words):
    return len(words) / 0


try:
    count("-".join(["3", "unlisted", "words"]))
except ZeroDivisionError:
    logger.exception("It was not counted")
agent = VoiceAgent("shop", greeting="Hello")
"""
WORDS = "my unlisted holiday in Bergen"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "agents").mkdir()
    return tmp_path


# --- errors


def test_a_file_that_cannot_be_compiled_shows_its_line_and_no_library(project: Path) -> None:
    file = project / "agents" / "broken.py"
    file.write_text("agent = VoiceAgent(\n")
    with pytest.raises(AgentImportError, match=r"SyntaxError: '\(' was never closed") as caught:
        load_file(file)
    assert caught.value.traceback.splitlines()[0] == f'  File "{file}", line 1'
    assert "importlib" not in caught.value.traceback
    code, printed = run("run", "--agent", "broken", "--port", "0", cwd=project, LAYERCODE_WEBHOOK_SECRET=SECRET)
    assert code == 3
    assert len(printed.splitlines()) == 5, printed


@pytest.mark.slow
def test_a_fork_whose_turn_fails_shows_the_agents_own_lines(project: Path) -> None:
    (project / "agents" / "failing.py").write_text(FAILING)
    code, printed = run("chat", "--agent", "failing", "--say", WORDS, "--conversation", "c1", cwd=project)
    assert code == 1, printed
    code, printed = run("fork", "c1", "--at", "1", cwd=project)
    assert code == 0, printed
    assert printed.count(WORDS) == 2, "in the table: before and now"
    told = printed.partition("failing: c1 from turn 1")[0] + printed.partition("total:")[2]
    assert "ValueError: the model is gone" in told
    assert WORDS not in told
    assert "site-packages" not in printed
    assert len(printed.splitlines()) < 30, printed
    (row,) = [line for line in printed.splitlines() if "error " in line]
    assert row.count("internal") == 2


@pytest.mark.slow
def test_no_command_prints_the_values_of_variables(project: Path) -> None:
    (project / "agents" / "shop.py").write_text(CATCHING)
    code, printed = run("agents", cwd=project, cold=True)  # Loguru reads its defaults when it is imported
    assert code == 0, printed
    assert "ZeroDivisionError" in printed
    assert "3-unlisted-words" not in printed


# --- log lines


def test_the_console_shows_which_session_event_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    from loguru import logger

    shown = Stream()
    monkeypatch.setattr("sys.stderr", shown)
    logs.configure(log_dir="")
    logger.bind(agent="shop", turn_id="session.end-3f2a9c1b-4d1e-4cbe-a0dc-5ffc88c3ca07-").info("one")
    logger.bind(agent="shop", turn_id="turn-afbcd6a854b1").info("two")
    lines = [line.partition("INFO    ")[2] for line in shown.text.splitlines()]
    assert lines == ["[shop session.end-3f2a9c1b-4d…] one", "[shop turn-afbcd6a854b1] two"]


def test_uvicorns_steps_are_for_debugging_and_its_news_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    uvicorn = logging.getLogger("uvicorn.error")

    def printed(level: str) -> list[str]:
        shown = Stream()
        monkeypatch.setattr("sys.stderr", shown)
        logs.configure(log_dir="", level=level)
        for message in ("connection open", "Waiting for application startup.", "Child process [7] died"):
            uvicorn.info(message)
        uvicorn.error("Task exception")
        return [line.split(maxsplit=1)[1] for line in shown.text.splitlines()]

    assert printed("INFO") == ["INFO    Child process [7] died", "ERROR   Task exception"]
    assert "DEBUG   connection open" in printed("DEBUG")


def test_a_line_tells_the_impact_where_there_is_one() -> None:
    assert details({"kind": "message", "impact": "nothing"}) == "kind=message"
    assert details({"kind": "message", "impact": "apology"}) == "kind=message impact=apology"


@pytest.mark.slow
def test_logs_shows_whole_ids_and_finds_a_turn_by_its_beginning(tmp_path: Path) -> None:
    ids = ["session.end-3f2a9c1b-4d1e-4cbe-a0dc", "session.end-70e1", "turn-1"]
    lines = [
        {"time": "2026-01-01T00:00:00Z", "level": "INFO", "message": "m", "agent": "a", "turn_id": one} for one in ids
    ]
    (tmp_path / "layercode-app.1.log").write_text(
        "".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in lines)
    )

    def found(*turn: str) -> list[str]:
        code, printed = run("logs", "--log-dir", str(tmp_path), *turn, cwd=tmp_path)
        assert code == 0, printed
        return [line.rpartition("[a ")[2].partition("]")[0] for line in printed.splitlines()]

    assert found() == ids
    assert found("--turn", "session.end-3f2a9c1b-4d…") == ids[:1]
    assert found("--turn", "session.end") == ids[:2]


# --- widths


@pytest.mark.slow
def test_help_and_tables_are_wide_where_there_is_no_terminal(project: Path) -> None:
    _, helped = run("dev", "--help", cwd=project)
    assert max(map(len, helped.splitlines())) == WIDE
    assert "--update-webhook,--unsafe-update-webhook" in helped
    _, narrow = run("dev", "--help", cwd=project, COLUMNS="100")
    assert max(map(len, narrow.splitlines())) == 100
    (project / "agents" / "failing.py").write_text(FAILING)
    run("chat", "--agent", "failing", "--say", WORDS, "--conversation", "c1", cwd=project)
    _, forked = run("fork", "c1", "--at", "1", cwd=project)
    assert max(map(len, forked.splitlines())) == WIDE

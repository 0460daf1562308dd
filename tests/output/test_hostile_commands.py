"""A journal and logs are full of hostile texts, but commands print no raw characters, forged lines or tracebacks."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from loguru import logger

from layercode_app.observability import logs
from layercode_app.wellformed import well_formed

from ..hostile import ALL, CALLS, HALF, LONG, acting, assert_harmless, record
from .commands import COLUMNS, Command, Stream

AGENTS = f"{ALL.splitlines()[0]!a}\nfrom tests.hostile import hostile_agent\nagent = hostile_agent()\n"


@dataclass
class Project:
    """A folder with a journal, logs and an agent."""

    folder: Path
    console: str
    """What the server wrote to its console while the journal was filled."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "agents").mkdir()
    (folder / "agents" / "hostile.py").write_text(AGENTS)
    console, before = Stream(), sys.stderr
    logs.configure(level="DEBUG", log_dir=str(folder / "logs"))
    sys.stderr = console
    try:
        asyncio.run(record(folder))
    finally:
        sys.stderr = before
        logger.remove()
        logger.configure(patcher=lambda record: None)
        logging.getLogger().handlers = []
    return Project(folder, console.text)


@pytest.fixture
def command(project: Project, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("LAYERCODE_WEBHOOK_SECRET", "test-secret")
    return Command(monkeypatch)


@pytest.mark.parametrize("terminal", [False, True], ids=["piped", "terminal"])
@pytest.mark.parametrize("words", ["list", "show", "explain"])
@pytest.mark.slow
def test_sessions(command: Command, words: str, terminal: bool) -> None:
    if words == "list":
        command.run("sessions", "list", terminal=terminal)
        return
    shown = ""
    for call in (*CALLS.values(), "old", "odd"):
        shown = command.run("sessions", words, call, terminal=terminal)
    if words == "show":
        assert "␛]52;c;Zm9v␇" in shown
        assert "[bold]b[/bold][/x]" in shown


@pytest.mark.slow
def test_json_is_what_was_said(command: Command) -> None:
    listed = json.loads(command.run("sessions", "list", "--json"))
    assert {row["conversation_id"] for row in listed} == {ALL, LONG, "old", "odd"}
    turns = json.loads(command.run("sessions", "show", ALL, "--json"))
    assert turns[1]["caller"] == ALL
    assert json.loads(command.run("sessions", "show", "old", "--json"))[0]["caller"] == well_formed(HALF)
    for call in (*CALLS.values(), "old", "odd"):
        assert json.loads(command.run("sessions", "explain", call, "--json"))


def test_a_terminal_without_unicode_shows_it_too(command: Command) -> None:
    assert "\\u241b]52" in command.run("sessions", "show", "odd", encoding="ascii")
    command.run("report", "--by", "conversation", encoding="ascii")
    assert json.loads(command.run("sessions", "show", "odd", "--json", encoding="ascii"))[0]["caller"] == ALL


@pytest.mark.parametrize("by", ["agent", "model", "day", "month", "conversation", "tool", "stage", "version", "score"])
def test_report(command: Command, by: str) -> None:
    command.run("report", "--by", by)
    command.run("report", "--by", by, terminal=True)
    assert json.loads(command.run("report", "--by", by, "--json"))


@pytest.mark.parametrize("terminal", [False, True], ids=["piped", "terminal"])
def test_review(command: Command, terminal: bool, tmp_path: Path) -> None:
    queued = json.loads(command.run("sessions", "review", "--reviewed", "--json"))
    assert ALL in {call["conversation_id"] for call in queued}
    command.run("sessions", "review", "--reviewed", terminal=False)
    file = tmp_path / f"review-{terminal}.yaml"
    command.run(
        "sessions", "review", ALL, "--bad", "--note", "x", "--scenario", str(file), "--goal", ALL, terminal=terminal
    )


def test_logs(command: Command) -> None:
    assert "FORGED" in command.run("logs")
    command.run("logs", terminal=True)
    command.run("logs", "--conversation", ALL, "--turn", f"t{ALL}", "--agent", "hostile")
    for line in command.run("logs", "--json").splitlines():
        assert json.loads(line)


def test_console_of_the_server(project: Project) -> None:
    assert "FORGED" in project.console
    assert_harmless(project.console)


def test_journal(command: Command, tmp_path: Path) -> None:
    command.run("journal", "info", terminal=True)
    command.run("journal", "check", code=None, terminal=True)
    rows = [json.loads(line) for line in command.run("journal", "export", "--since", "all").splitlines()]
    assert ALL in {row["conversation_id"] for row in rows}
    copied = command.run(
        "journal", "copy", f"sqlite:///{Path('.layercode/journal.sqlite3')}", f"sqlite:///{tmp_path}/copy.sqlite3"
    )
    assert "The copy equals the source." in copied


@pytest.mark.parametrize("ending", ["--html", "--no-html"])
@pytest.mark.slow
def test_export_and_what_reads_it(command: Command, project: Project, ending: str) -> None:
    path = project.folder
    for number, call in enumerate((*CALLS.values(), "old", "odd")):
        for more in ((), ("--unredacted",)):
            path = project.folder / f"export-{number}{ending}{len(more)}"
            command.run("sessions", "export", call, ending, "-o", str(path), *more)
            assert acting(path.read_text(encoding="utf-8")) == []
        command.run("sessions", "export", call, ending, "-o", "-")
        command.run("sessions", "export", call, ending)
    assert all(path.name.isascii() for path in (project.folder / ".layercode" / "exports").iterdir())
    command.run("replay", str(path), code=None)


@pytest.mark.slow
def test_replay_fork_and_promote(command: Command, project: Project) -> None:
    for number, call in enumerate((ALL, LONG, "odd", "old")):
        command.run("replay", call, code=None)
        command.run("replay", call, "--json", code=None)
        scenario = f"scenario-{number}.yaml"
        command.run("replay", call, "--promote", scenario, code=None)
        command.run("fork", call, "--at", "1", "--say", ALL, code=None)
        command.run("fork", call, "--at", "1", "--say", ALL, "--json", code=None)
    for more in ((), ("--json",)):
        command.run("eval", "scenario-0.yaml", "--junit", "junit.xml", "--html", "eval.html", *more, code=None)
    from xml.etree.ElementTree import parse

    assert parse(project.folder / "junit.xml").getroot().tag == "testsuite"
    assert acting((project.folder / "eval.html").read_text(encoding="utf-8")) == []


@pytest.mark.slow
def test_agents_chat_and_doctor(command: Command) -> None:
    command.run("agents")
    assert json.loads(command.run("agents", "--json"))["agents"][0]["title"] == ALL.splitlines()[0]
    for terminal in (False, True):
        command.run("chat", "--agent", "hostile", "--say", ALL, "--conversation", "chat", terminal=terminal, code=None)
    assert json.loads(command.run("chat", "--agent", "hostile", "--say", ALL, "--json", code=None))
    command.run("doctor", "--offline", "--agent", "hostile", code=None)


@pytest.mark.parametrize("words", [
    ("sessions", "show", ALL + "?"), ("sessions", "forget", ALL + "?", "--yes"), ("sessions", "review", ALL + "?", "--good"), ("logs", "--turn", ALL), ("logs", "--since", ALL),
    ("report", "--since", ALL), ("report", "--by", ALL), ("report", "--send", ALL), ("fork", ALL, "--at", ALL), ("replay", ALL + "?"),
    ("run", "--agent", ALL), ("eval", "missing" + ALL.replace("/", "")[:90]), ("send", "http://127.0.0.1:1", "--data", ALL),
    ("check", ALL), ("bench", ALL), ("profile", ALL), ("new", ALL), ("emulator", "--webhook", ALL), (ALL,), ("report", ALL),
], ids=lambda words: " ".join(words)[:16].split("=")[0])  # fmt: skip
def test_what_is_refused_is_quoted_harmlessly(command: Command, words: tuple[str, ...]) -> None:
    words = tuple(word.replace("\0", "") for word in words)  # no program can be given a null character
    command.run(*words, code=None)
    command.run(*words, code=None, terminal=True)


def test_forget(command: Command) -> None:
    for call in (LONG, ALL):
        command.run("sessions", "forget", call, "--yes", terminal=True)

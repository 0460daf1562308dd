"""`chat` in a real terminal: keys, Ctrl-C, long lines, and its end. And `chat` at the end of a pipe."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from .. import forked
from ..processes import START_SECONDS, clean_environment
from ..terminal import PROMPT, Terminal, plain, terminal

AGENT = """
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from loguru import logger

from layercode_app import SessionEnd, Turn, VoiceAgent

agent = VoiceAgent("talker", greeting="Hello there.", filler=False)


async def appears(name: str) -> None:
    while not Path(name).exists():
        await asyncio.sleep(0.005)


async def warn() -> None:
    await appears("warn")
    logger.warning("Something happened meanwhile.")


@agent.on_message
async def reply(turn: Turn) -> AsyncIterator[str]:
    yield "Listen: "
    if turn.text == "wait":
        await appears("go")
    elif turn.text == "warn":
        turn.background(warn())
    yield f"{len(turn.text)} {turn.text[:40]}."


@agent.on_session_end
async def bye(event: SessionEnd) -> None:
    Path("ended").write_text(" ".join(said.text for said in event.transcript if said.role == "user"))
"""
CTRL_C, CTRL_D, LEFT, UP, HOME = "\x03", "\x04", "\x1b[D", "\x1b[A", "\x01"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents/talker.py").write_text(AGENT)
    return tmp_path


@contextmanager
def chatting(project: Path, *arguments: str, **env: str) -> Iterator[Terminal]:
    """`chat` in a terminal, after its greeting."""
    with terminal("chat", "--agent", "talker", *arguments, cwd=project, **env) as opened:
        opened.wait_for("Hello there.")
        opened.wait_for_prompt()
        yield opened


def test_lines_are_edited_recalled_and_of_any_length_and_ctrl_c_hangs_up(project: Path) -> None:
    with chatting(project) as person:
        person.press(f"helo{LEFT}l{HOME}> \r")
        person.wait_for("Listen: 7 > hello.")
        person.wait_for_prompt()
        person.press(f"{UP}!\r")
        person.wait_for("Listen: 8 > hello!.")
        person.wait_for_prompt()
        person.press("x" * 10_000 + "\r")
        person.wait_for("Listen: 10000 xxx")
        person.wait_for_prompt()
        person.press("never said")
        person.wait_for("never said")
        person.press(CTRL_C)
        assert person.wait_for_end() == 0
        assert person.current_modes() == person.modes, "the terminal is as it was"
        assert "Traceback" not in person.screen
        assert "Aborted" not in person.screen
    said = (project / "ended").read_text()
    assert said == f"> hello > hello! {'x' * 10_000}"


def test_ctrl_c_interrupts_a_reply_and_the_chat_goes_on(project: Path) -> None:
    with chatting(project) as person:
        person.press("wait\r")
        person.wait_for("Listen: ")
        person.press(CTRL_C)
        person.wait_for("-- interrupted")
        person.wait_for_prompt()
        person.press("again\r")
        person.wait_for("Listen: 5 again.")
        person.wait_for_prompt()
        person.press(CTRL_D)
        assert person.wait_for_end() == 0
    assert (project / "ended").read_text() == "wait again"


def test_what_is_typed_while_the_agent_speaks_waits_for_the_prompt(project: Path) -> None:
    with chatting(project) as person:
        person.press("wait\r")
        person.wait_for("Listen: ")
        person.press("typed ahead")
        (project / "go").touch()
        reply = person.wait_for("4 wait.", PROMPT)
        assert "typed" not in reply
        person.wait_for("typed ahead")
        person.press("\r")
        person.wait_for("Listen: 11 typed ahead.")


def test_a_log_line_appears_above_the_prompt_and_what_is_typed_stays(project: Path) -> None:
    with chatting(project) as person:
        person.press("warn\r")
        person.wait_for("4 warn.")
        person.wait_for_prompt()
        person.press("half")
        person.wait_for("half")
        (project / "warn").touch()
        drawn = person.wait_for("Something happened meanwhile.", "half")
        assert any(line.rstrip().endswith("Something happened meanwhile.") for line in plain(drawn).splitlines())
        person.press(" done\r")
        person.wait_for("Listen: 9 half done.")


def test_bytes_that_are_no_text_are_replaced_and_said(project: Path) -> None:
    with chatting(project) as person:
        person.press(b"caf\xe9 ol\xc3\xa9\r")
        person.wait_for("The line is not valid UTF-8: byte 0xE9 at position 4.")
        person.wait_for("Listen: 8 caf\N{REPLACEMENT CHARACTER} ol\u00e9.")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_at_the_prompt_end_the_session(project: Path, number: signal.Signals) -> None:
    with chatting(project) as person:
        person.process.send_signal(number)
        assert person.wait_for_end() == 0
        assert person.current_modes() == person.modes
    assert (project / "ended").exists()


def test_a_closed_window_ends_the_session(project: Path) -> None:
    with chatting(project) as person:
        person.close()
        person.process.wait(START_SECONDS)
    assert (project / "ended").exists()


def test_json_and_a_terminal_that_cannot_move_its_cursor(project: Path) -> None:
    with terminal("chat", "--agent", "talker", "--json", cwd=project, TERM="dumb") as person:
        person.wait_for('"spoken": "Hello there."', "> ")
        person.press("hello\r")
        person.wait_for('"spoken": "Listen: 5 hello."', "> ")
        person.press(CTRL_C)
        assert person.wait_for_end() == 0
    assert (project / "ended").read_text() == "hello"


# --- no terminal


def piped(project: Path, given: bytes) -> tuple[int, str, str]:
    with TemporaryFile() as lines, TemporaryFile() as output, TemporaryFile() as errors:
        lines.write(given)
        lines.seek(0)
        arguments = ["-m", "layercode_app", "chat", "--agent", "talker"]
        started = forked.start(
            arguments, cwd=project, env=clean_environment(), stdin=lines, stdout=output, stderr=errors
        )
        code = started.wait(START_SECONDS)
        output.seek(0)
        errors.seek(0)
        return code, output.read().decode(), errors.read().decode()


def test_lines_of_a_file_are_said_with_what_is_no_text_replaced(project: Path) -> None:
    code, output, errors = piped(project, b"one\r\n\ncaf\xe9 ol\xc3\xa9\n" + b"y" * 100_000 + b"\nlast")
    assert code == 0
    for reply in ("3 one.", "8 caf\N{REPLACEMENT CHARACTER} ol\u00e9.", "100000 yyy", "4 last."):
        assert f"Listen: {reply}" in output
    assert output.count("Listen:") == 4
    assert PROMPT not in output
    assert errors.count("is not valid UTF-8") == 1
    assert "Line 3 is not valid UTF-8: byte 0xE9 at position 4." in errors
    assert (project / "ended").read_text().startswith("one caf")


def unread(pipe: int) -> int:
    """The number of bytes in a pipe that were not read yet."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest.mark.slow
def test_ctrl_c_ends_a_chat_that_waits_for_a_pipe(project: Path) -> None:
    read, write = os.pipe()
    with (project / "output").open("wb") as output:
        started = forked.start(
            ["-m", "layercode_app", "chat", "--agent", "talker"],
            cwd=project, env=clean_environment(), stdin=read, stdout=output, stderr=output,
        )  # fmt: skip
        os.close(read)
        os.write(write, b"one\n")
        while b"Listen: 3 one." not in (project / "output").read_bytes():
            assert started.poll() is None
            time.sleep(forked.POLL_SECONDS)
        # The reply is over when the next line is read; before that, Ctrl-C would interrupt the reply.
        os.write(write, b"unfinished")
        while unread(write):
            assert started.poll() is None
            time.sleep(forked.POLL_SECONDS)
        started.send_signal(signal.SIGINT)
        code = started.wait(START_SECONDS)
    os.close(write)
    assert code == 0
    assert b"Traceback" not in (project / "output").read_bytes()
    assert (project / "ended").read_text() == "one"


def test_good_calls_are_in_the_log_files_and_not_on_the_terminal(project: Path) -> None:
    done = forked.run(
        ["-m", "layercode_app", "chat", "--agent", "talker", "--say", "hello"],
        cwd=project,
        env=clean_environment(LOG_DIR="logs"),
    )
    assert "turn complete" not in done.stdout + done.stderr
    assert "A webhook secret for development was written to .env." in done.stderr
    (log,) = (project / "logs").glob("*.log")
    assert '"message":"turn complete in' in log.read_text()


@pytest.mark.slow
def test_help_does_not_import_the_line_editor() -> None:
    code = "import sys; from layercode_app.cli.main import app; app(['chat', '--help'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "layercode_app.cli.chat.chat" in loaded
    assert loaded & {"prompt_toolkit", "asyncio", "httpx"} == set()

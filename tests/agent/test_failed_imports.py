"""An agent file that fails to import is reported, whatever it raises; the others are loaded."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from layercode_app import AgentImportError
from layercode_app.agent.discovery import discover, find_by_import

GOOD = """
from layercode_app import Turn, VoiceAgent

agent = VoiceAgent("good")


@agent.on_message
async def reply(turn: Turn) -> str:
    return turn.text
"""
ENDS = {
    "sys.exit": "import sys\nsys.exit(3)\n",
    "argparse": "import argparse\nargparse.ArgumentParser().parse_args(['--unknown'])\n",
    "cancelled": "import asyncio\nraise asyncio.CancelledError\n",
}
INTERRUPTED = "raise KeyboardInterrupt\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "good.py").write_text(GOOD)
    return tmp_path


@pytest.fixture
def as_in_a_server() -> Iterator[None]:
    """Handle SIGINT as a server does, so that Ctrl-C raises no KeyboardInterrupt during the test."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("source", ENDS.values(), ids=ENDS)
def test_a_file_that_would_end_the_process_is_one_that_fails(source: str, folder: Path) -> None:
    (folder / "bad.py").write_text(source)
    found = discover(folder)
    assert "good" in found.agents
    error = found.failed[folder / "bad.py"]
    assert str(error).startswith(f"Agent file {folder / 'bad.py'} failed to import: ")
    assert "bad.py" in error.traceback
    assert not any(name.startswith("layercode_app._agent_files.bad_") for name in sys.modules)


@pytest.mark.parametrize("source", ENDS.values(), ids=ENDS)
def test_so_is_a_module_that_would_end_the_process(source: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "ends_here.py").write_text(source)
    monkeypatch.syspath_prepend(folder)
    with pytest.raises(AgentImportError, match="the module 'ends_here' failed to import"):
        find_by_import("ends_here:agent")


def test_a_link_to_itself_is_a_file_that_fails(folder: Path) -> None:
    (folder / "loop.py").symlink_to("loop.py")
    found = discover(folder)
    assert "good" in found.agents
    assert "OSError" in str(found.failed[folder / "loop.py"])


@pytest.mark.usefixtures("as_in_a_server")
def test_an_interrupt_in_a_running_server_is_the_files_own(folder: Path) -> None:
    (folder / "bad.py").write_text(INTERRUPTED)
    assert list(discover(folder).failed) == [folder / "bad.py"]


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Install Python's default handler for Ctrl-C. A process in the background of a shell does not have this handler."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_during_an_import_ends_the_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "interrupted.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")
    monkeypatch.syspath_prepend(folder)
    with pytest.raises(KeyboardInterrupt):
        discover(folder)
    with pytest.raises(KeyboardInterrupt):
        find_by_import("interrupted:agent")

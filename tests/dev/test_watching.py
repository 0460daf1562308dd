"""Changed files are noticed, whatever happened before: a reload that fails, or a folder that was removed."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from watchfiles import awatch

from layercode_app import ConfigurationError
from layercode_app.dev import folder_watch
from layercode_app.dev.reload import watching

from ..waiting import until

pytestmark = pytest.mark.anyio


@pytest.fixture
def agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder of agents. Every 0.05 seconds, the watcher checks if it was created or replaced."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folder_watch, "CHECK_SECONDS", 0.05)
    monkeypatch.setattr(folder_watch, "RETRY_SECONDS", 0.05)
    (tmp_path / "agents").mkdir()
    return tmp_path / "agents"


@pytest.fixture
def printed() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), level="INFO", format="{message}")
    yield lines
    logger.remove(sink)


class Reloads:
    """A stand-in for a reload: it adds the text of `mine.py` to `read`, and raises `error` if a test has set one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.read: list[str] = []
        self.error: Exception | None = None

    def __call__(self) -> None:
        file = self.folder / "mine.py"
        self.read.append(file.read_text() if file.exists() else "")
        if self.error is not None:
            raise self.error

    async def after(self, text: str) -> None:
        """Write the text to `mine.py`, and wait until a reload has read it."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "mine.py").write_text(text)
        await until(lambda: text in self.read)


@asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[Reloads]:
    reloads = Reloads(folder)
    async with watching(lambda: [folder], reloads):
        await asyncio.sleep(0.3)  # the watch begins in a thread
        yield reloads


@pytest.mark.parametrize("error", [ConfigurationError("wrong"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "wrong")])
async def test_a_reload_that_fails_is_said_and_the_next_change_is_noticed(
    error: Exception, agents: Path, printed: list[str]
) -> None:
    async with watched(agents) as reloads:
        reloads.error = error
        await reloads.after("first")
        reloads.error = None
        await reloads.after("second")
    (line,) = [line for line in printed if line.startswith("Not reloaded")]
    assert "wrong" in line


async def test_a_folder_that_is_removed_and_made_again_is_watched(agents: Path) -> None:
    async with watched(agents) as reloads:
        await reloads.after("before")
        shutil.rmtree(agents)
        await reloads.after("made again at once")
        await reloads.after("changed")
        shutil.rmtree(agents)
        await until(lambda: reloads.read[-1] == "")
        await reloads.after("made again later")
        await reloads.after("changed again")


async def test_a_folder_that_takes_the_place_of_another_is_watched(agents: Path) -> None:
    async with watched(agents) as reloads:
        await reloads.after("before")
        agents.rename(agents.with_name("old"))
        await reloads.after("another folder")
        await reloads.after("changed")


async def test_a_folder_that_is_made_after_the_start_is_watched(agents: Path) -> None:
    agents.rmdir()
    async with watched(agents) as reloads:
        await reloads.after("made")
        await reloads.after("changed")


async def test_when_files_cannot_be_watched_it_is_tried_again(
    agents: Path, printed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = [OSError("OS file watch limit reached")] * 2

    def refuse(*paths: str, **options: Any) -> AsyncIterator[Any]:
        if str(agents) in paths and refusals:
            raise refusals.pop()
        return awatch(*paths, **options)

    monkeypatch.setattr(folder_watch, "awatch", refuse)
    async with watched(agents) as reloads:
        await reloads.after("changed")
    assert "Files cannot be watched, retrying in 0 seconds: OS file watch limit reached" in "".join(printed)


async def test_a_name_that_is_not_utf8_does_not_end_the_watch(agents: Path, printed: list[str]) -> None:
    async with watched(agents) as reloads:
        (agents / "B\udcfccher.py").touch()
        await until(lambda: "Files cannot be watched" in "".join(printed))
        (agents / "B\udcfccher.py").unlink()
        await reloads.after("changed")


async def test_a_folder_that_cannot_be_watched_is_said_once(agents: Path, printed: list[str]) -> None:
    folder = agents / "B\udcfccher"
    folder.mkdir()
    async with watched(folder):
        await asyncio.sleep(0.1)
    assert (
        "".join(printed) == f"{str(folder)!r} is not watched, because the path is not UTF-8. "
        "Restart after you change a file.\n"
    )

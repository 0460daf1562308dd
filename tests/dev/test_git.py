"""After `dev`, git ignores conversations and logs, and a secret that git would add causes a warning."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from layercode_app.settings import make_folder

from ..ports import free_port
from ..processes import command, listening, run

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")]


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout


async def started(folder: Path, **env: str) -> str:
    """Start `dev`, stop it as soon as it listens, and return what it printed."""
    port = free_port()
    async with command("dev", "--agent", "echo", "--port", str(port), cwd=folder, env=env) as process:
        await listening(f"http://127.0.0.1:{port}", process)
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 100)
    return (folder / "output.txt").read_text()


async def test_the_folders_that_dev_makes_are_left_out_and_the_secret_is_warned_of(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    printed = await started(tmp_path, LOG_DIR="logs")
    assert (tmp_path / ".layercode" / "journal.sqlite3").exists()
    assert list((tmp_path / "logs").glob("*.log"))
    assert git(tmp_path, "ls-files", "--others", "--exclude-standard").split() == [".env", "output.txt"]
    (warning,) = [line for line in printed.splitlines() if "git would add" in line]
    assert "git would add .env, which" in warning
    assert "layercode/" not in warning


async def test_folders_that_were_there_are_warned_of_until_they_are_ignored(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    project = tmp_path / "below"
    for name in (".layercode", "logs"):
        (project / name).mkdir(parents=True)
    assert "git would add .env and .layercode/ and logs/, which" in await started(project, LOG_DIR="logs")
    assert not (project / "logs" / ".gitignore").exists(), "not ours to decide"
    (tmp_path / ".gitignore").write_text(".env\n.layercode/\nlogs/\n")
    (project / "output.txt").unlink()
    assert "git would add" not in await started(project, LOG_DIR="logs")


def test_outside_a_repository_nothing_is_said(tmp_path: Path) -> None:
    code, printed = run("chat", "--agent", "echo", "--say", "hello", cwd=tmp_path)
    assert code == 0, printed
    assert "git" not in printed.replace(".gitignore", "")
    assert (tmp_path / ".layercode" / ".gitignore").read_text().endswith("\n*\n")


def test_only_the_outermost_new_folder_is_marked(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "c")
    make_folder(tmp_path)
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob(".gitignore")] == [Path("a/.gitignore")]

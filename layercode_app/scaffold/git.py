"""Run git in a project: read from its history, and create its repository."""

from __future__ import annotations

import subprocess
from pathlib import Path
from shutil import which

from ..settings import environment

_SECONDS = 30
_OF_A_HOOK = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}
"""Variables that git sets for its hooks. They would select the hook's repository instead of the project's."""


def output(folder: Path, *arguments: str) -> str | None:
    """Return the output of git; None if it fails, is missing or takes too long."""
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_SECONDS,
            env={name: value for name, value in environment().items() if name not in _OF_A_HOOK},
        )  # fmt: skip
        return done.stdout.decode() if done.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None


def is_installed() -> bool:
    """Return whether git is installed."""
    return which("git") is not None


def in_repository(folder: Path) -> bool:
    """Return whether a folder, or its nearest existing parent, is in the work tree of a repository."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    return (output(there, "rev-parse", "--is-inside-work-tree") or "").strip() == "true"


def create_repository(folder: Path) -> bool:
    """Run `git init` in a folder. Return whether it succeeded."""
    return output(folder, "init", "--quiet") is not None

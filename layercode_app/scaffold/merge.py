"""Merge the user's version of a file with the newly generated one, using git."""

from __future__ import annotations

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from .kept import digest

_SECONDS = 30


def made_text(folder: Path, path: str, made: str) -> str | None:
    """Return the generated text whose digest is `made` from the project's git history; None if it is not there."""
    listed = _git(folder, "log", "--all", "--format=", "--raw", "--no-abbrev", "--no-renames", "--", path)
    blobs = [line.split()[3] for line in reversed((listed or "").splitlines()) if line.startswith(":")]
    texts = (_git(folder, "cat-file", "blob", blob) for blob in dict.fromkeys(blobs) if blob.strip("0"))
    return next((text for text in texts if text is not None and digest(text) == made), None)


def merge(base: str, ours: str, theirs: str) -> str | None:
    """Return one text with both changes; None if they conflict or git is missing."""
    with TemporaryDirectory() as place:
        for name, text in (("ours", ours), ("base", base), ("theirs", theirs)):
            (Path(place) / name).write_text(text, encoding="utf-8")
        return _git(Path(place), "merge-file", "--stdout", "--quiet", "ours", "base", "theirs")


def _git(folder: Path, *arguments: str) -> str | None:
    """Return the output of git; None if it fails, is missing or takes too long."""
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_SECONDS,
        )  # fmt: skip
        return done.stdout.decode() if done.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None

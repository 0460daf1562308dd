"""Folders that we make ourselves hold what callers said: git leaves them alone."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

IGNORE_FILE = ".gitignore"
IGNORE_ALL = "# Made by layercode-app: conversations, logs and what belongs to them are not for the repository.\n*\n"


def make_folder(folder: Path, *, mode: int = 0o777) -> None:
    """Make a folder where there is none, and tell git to leave out what is in it. One that is there is left as it is.

    Raises OSError.
    """
    if folder.exists():
        return
    newest = folder
    while not newest.parent.exists():
        newest = newest.parent
    folder.mkdir(parents=True, exist_ok=True, mode=mode)
    # It is a help, and nothing depends on it; another process may have been quicker.
    with suppress(OSError):
        if not _ours(newest.parent):
            with open(newest / IGNORE_FILE, "x", encoding="utf-8", opener=_for_its_owner) as file:
                file.write(IGNORE_ALL)


def _for_its_owner(path: str, flags: int) -> int:
    """Everything in the journal's folder is readable by its owner only."""
    return os.open(path, flags, 0o600)


def _ours(folder: Path) -> bool:
    file = folder / IGNORE_FILE
    return file.is_file() and file.read_text(encoding="utf-8") == IGNORE_ALL

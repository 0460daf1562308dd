"""Create folders that git ignores, for files with the words of callers."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

IGNORE_FILE = ".gitignore"
IGNORE_ALL = "# Created by layercode-app: conversations and logs do not belong in the repository.\n*\n"


def make_folder(folder: Path, *, mode: int = 0o777) -> None:
    """Create a folder, and let git ignore everything in it. A folder that exists already is left unchanged.

    Raises OSError if the folder cannot be created.
    """
    if folder.exists():
        return
    newest = folder
    while not newest.parent.exists():
        newest = newest.parent
    folder.mkdir(parents=True, exist_ok=True, mode=mode)
    # The .gitignore is optional, so errors are ignored; another process may also have written it first.
    with suppress(OSError):
        if not _ours(newest.parent):
            with open(newest / IGNORE_FILE, "x", encoding="utf-8", opener=_for_its_owner) as file:
                file.write(IGNORE_ALL)


def make_private(path: Path) -> None:
    """Create a file that only its owner can read. Create missing folders too. An existing file becomes private."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    if path.is_file():  # Not a device, such as /dev/null.
        path.chmod(0o600)


def _for_its_owner(path: str, flags: int) -> int:
    """Open a file. If this creates the file, only its owner can read it, like all files in the journal's folder."""
    return os.open(path, flags, 0o600)


def _ours(folder: Path) -> bool:
    file = folder / IGNORE_FILE
    return file.is_file() and file.read_text(encoding="utf-8") == IGNORE_ALL

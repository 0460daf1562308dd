"""Write a new project: all of its files or none, and never over an existing file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..exceptions import ConfigurationError
from .render import File


def check_free(folder: Path, files: Sequence[File]) -> None:
    """Raise ConfigurationError if files exist that would be overwritten; the message names them all."""
    taken = sorted(str(file.path) for file in files if _in_the_way(folder, file))
    if taken:
        raise ConfigurationError(
            f"These files exist already in {folder.resolve()}: {', '.join(taken)}. Nothing was written. "
            "Move them, or choose another folder."
        )


def _in_the_way(folder: Path, file: File) -> bool:
    target = folder / file.path
    parents = [folder / parent for parent in file.path.parents]
    return os.path.lexists(target) or any(os.path.lexists(path) and not path.is_dir() for path in parents)


def write(folder: Path, files: Sequence[File]) -> None:
    """Write the files. If one cannot be written, delete the files already written.

    Raises ConfigurationError naming the file and the reason.
    """
    check_free(folder, files)
    made: list[Path] = []
    try:
        for file in files:
            _make_folders(folder / file.path.parent, made)
            _write_one(folder / file.path, file, made)
    except OSError as error:
        _delete(made)
        raise ConfigurationError(
            f"{error.filename or folder} cannot be written: {error.strerror}. Nothing was left behind."
        ) from error


def _make_folders(folder: Path, made: list[Path]) -> None:
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir()
        made.append(path)


def _write_one(path: Path, file: File, made: list[Path]) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if file.private else 0o666)
    made.append(path)
    with os.fdopen(handle, "wb") as stream:
        stream.write(file.content)


def _delete(made: Sequence[Path]) -> None:
    for path in reversed(made):
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()

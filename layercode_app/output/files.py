"""Write the result of long work to a file. Before the work begins, check that the file can be written."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from ..exceptions import ConfigurationError


def why_unwritable(path: Path, *, in_new_folder: bool = False) -> str:
    """Return why a file cannot be written, and the fix; empty if it can be written.

    With `in_new_folder`, missing folders are no reason, because the command creates them.
    """
    try:
        reason = _reason(path, in_new_folder=in_new_folder)
    except OSError as error:
        reason = str(error.strerror)
    return f"{path} cannot be written: {reason}. Choose another path." if reason else ""


def _reason(path: Path, *, in_new_folder: bool) -> str:
    if path.is_dir():
        return "it is a folder; expected a file"
    if path.exists():
        return "" if os.access(path, os.W_OK) else "you have no permission to write to this file"
    folder = path.parent
    while in_new_folder and not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.exists():
        return f"the folder {folder} does not exist. Create it with: mkdir -p {shlex.quote(str(folder))}"
    if not folder.is_dir():
        return f"{folder} is not a folder"
    return "" if os.access(folder, os.W_OK | os.X_OK) else "you have no permission to write in its folder"


def write_file(path: Path, text: str, *, in_new_folder: bool = False) -> None:
    """Write a text as UTF-8. Raises ConfigurationError with the path and the reason.

    With `in_new_folder`, create missing folders.
    """
    try:
        if in_new_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from error

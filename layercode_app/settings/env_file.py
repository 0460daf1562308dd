"""Change single variables of a `.env` file, keep its other lines, and undo the changes later.

A changed variable moves to the end of the file.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from ..exceptions import ConfigurationError

UNDO_FILE = Path(".layercode/connect.json")
Values = Mapping[str, str | None]


def set_values(values: Values, *, env_file: Path, undo_file: Path = UNDO_FILE) -> None:
    """Set variables. A variable whose value is None is removed. The original values are saved for `undo`.

    Raises ConfigurationError for a multi-line value, or if a file cannot be read or written.
    """
    text = _read(env_file)
    _remember({name: _find(text, name) for name in values}, undo_file)
    change(values, env_file=env_file)


def undo(*, env_file: Path, undo_file: Path = UNDO_FILE) -> list[str]:
    """Restore the variables that `set_values` changed, and return their names.

    Raises ConfigurationError if the saved values or the `.env` file cannot be read, or if the file cannot be written.
    """
    if not undo_file.exists():
        return []
    before = _remembered(undo_file)
    change(before, env_file=env_file)
    undo_file.unlink()
    return sorted(before)


def change(values: Values, *, env_file: Path) -> None:
    """Set variables. A variable whose value is None is removed. Unlike `set_values`, save nothing for `undo`.

    Raises ConfigurationError for a multi-line value, or if the file cannot be read or written.
    """
    _write(env_file, _changed(_read(env_file), values))


def _remember(before: Values, undo_file: Path) -> None:
    known = _remembered(undo_file) if undo_file.exists() else {}
    # A value that is already saved is kept: it is the value before our first change.
    _write(undo_file, json.dumps(dict(before) | known))


def _remembered(undo_file: Path) -> dict[str, str | None]:
    try:
        return dict(json.loads(undo_file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ConfigurationError(
            f"{undo_file} cannot be read: {error}. It holds the values that .env had before `connect`. Correct .env by "
            f"hand, then delete {undo_file}."
        ) from error


def _find(text: str, name: str) -> str | None:
    found = re.findall(rf"^(?:export\s+)?{re.escape(name)}=(.*)$", text, re.MULTILINE)
    return found[-1].rstrip("\r") if found else None


def _changed(text: str, values: Values) -> str:
    end = "\r\n" if "\r\n" in text else "\n"
    for name, value in values.items():
        if value is not None and not re.fullmatch(r"[^\r\n]*", value):
            raise ConfigurationError(f"{name}: the value has several lines; expected one line, as .env requires.")
        line = re.compile(rf"^(?:export\s+)?{re.escape(name)}=.*\n?", re.MULTILINE)
        text = line.sub("", text)
        if value is not None:
            text += (end if text and not text.endswith("\n") else "") + f"{name}={value}{end}"
    return text


def _read(path: Path) -> str:
    """Return the text with its line endings unchanged, or "" if the file does not exist."""
    try:
        return path.read_bytes().decode("utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}.") from error


def _write(path: Path, text: str) -> None:
    """Replace the file atomically, readable only by its owner. If the path is a link, its target is replaced."""
    try:
        _replace(path.resolve(), text)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written: {error}. Run the command in a folder that you can write to."
        ) from error


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    with os.fdopen(
        os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8", newline=""
    ) as file:
        file.write(text)
    beside.replace(path)

"""Find ignored settings: misspelt names in the environment, `.env` or `layercode.toml`, and broken lines in `.env`."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path

from ..nearest import nearest
from .environment import ENV_FILE, WORKER_OPTIONS, environment
from .files import read_env, read_text, read_toml
from .load import TOML_FILE
from .table import Settings, env_name

PREFIX = "LAYERCODE_"
NOT_OURS = frozenset({WORKER_OPTIONS, "LAYERCODE_WHEEL"})
"""Variables with our prefix that are not settings. Worker processes use the first, the Makefile uses the second."""
SIMILAR = 0.85
"""Minimum similarity of a name without our prefix to the name of a setting.

A less similar name may be a variable of another program.
"""


def ignored_settings(env_file: Path | str = ENV_FILE, toml_file: Path | str = TOML_FILE) -> list[str]:
    """Return a message for each broken line and for each name that looks like a setting but is none.

    The message names the setting that was probably meant, if there is one. Other programs' variables are not reported.
    """
    return [*_env_file(Path(env_file)), *_environment(Path(env_file)), *_toml(Path(toml_file))]


def _env_file(path: Path) -> Iterator[str]:
    from dotenv.parser import parse_stream

    for line in parse_stream(io.StringIO(read_text(path))):
        number = line.original.line + _blank_lines(line.original.string)
        if line.error or (line.key and line.value is None):
            yield f"{path}, line {number} cannot be read and is ignored: expected NAME=value, with any quotes closed."
        elif line.key and line.key not in _variables():
            ours = line.key.startswith(PREFIX) and line.key not in NOT_OURS
            if ours or _is_misspelt(line.key):
                yield _message(line.key, f"{path}, line {number}", _variables())


def _is_misspelt(name: str) -> bool:
    """Return whether a name without the prefix LAYERCODE_ is probably the misspelt name of a setting."""
    return bool(get_close_matches(name, _variables(), n=1, cutoff=SIMILAR) and nearest(name, _variables()))


def _blank_lines(text: str) -> int:
    """Return the number of blank lines before a statement. The parser returns them as part of the statement."""
    return len(text) - len(text.lstrip("\n"))


def _environment(env_file: Path) -> Iterator[str]:
    # Leave out the variables of `.env`. `_env_file` reports them already, even if they are also in the environment.
    told = {*NOT_OURS, *_variables(), *read_env(env_file)}
    for name in sorted(environment()):
        if name.startswith(PREFIX) and name not in told:
            yield _message(name, "environment", _variables())


def _toml(path: Path) -> Iterator[str]:
    known = {name.lower() for name in _variables()} | set(Settings.model_fields)
    for key in sorted(read_toml(path)):
        if key not in known and key not in _variables():
            yield _message(key, str(path), sorted(known))


def _variables() -> list[str]:
    return [name for info in Settings.model_fields.values() if (name := env_name(info))]


def _message(name: str, where: str, known: Iterable[str]) -> str:
    near = nearest(name, known)
    hint = f"Did you mean {near}?" if near else "`doctor --settings` lists the settings."
    return f"{name} ({where}) is not a setting and is ignored. {hint}"

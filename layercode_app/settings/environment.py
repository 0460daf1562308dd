"""Read and write the process's environment. Outside this module only `cli/main.py` sets a variable."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..exceptions import ConfigurationError
from .files import read_env

ENV_FILE = ".env"
WORKER_OPTIONS = "LAYERCODE_WORKER_OPTIONS"


def environment() -> Mapping[str, str]:
    """Return the process's environment, for code that starts a process or needs variables that are not settings."""
    return os.environ


def export_env_file(env_file: Path | str = ENV_FILE, *, exported: Mapping[str, str] | None = None) -> dict[str, str]:
    """Export the variables of `.env` to the environment, so that a model provider's SDK finds its key.

    A variable that is already set in the environment takes precedence over the file. Only commands such as `run` and
    `dev` call this, never an embedded app. Returns the variables that this call set. If the file has changed since,
    call this again with these variables as `exported`, so that they are updated.
    Raises ConfigurationError if the file cannot be read, or if a variable cannot be exported; the environment then stays
    as it is.
    """
    in_file = read_env(env_file)
    _check_encoding(in_file, env_file)
    for name, value in (exported or {}).items():
        if os.environ.get(name) == value:
            del os.environ[name]
    now = {name: value for name, value in in_file.items() if value and not os.environ.get(name)}
    os.environ.update(now)
    return now


def _check_encoding(values: Mapping[str, str], env_file: Path | str) -> None:
    for name, value in values.items():
        try:
            os.fsencode(name + value)
        except UnicodeEncodeError as error:
            raise ConfigurationError(
                f"{name} in {env_file} has characters that {error.encoding}, the encoding of this locale, does not have. "
                "Set the environment variable PYTHONUTF8=1, or use a UTF-8 locale, such as LC_ALL=C.UTF-8."
            ) from None


def overlay(values: Mapping[str, str]) -> None:
    """Set variables for libraries that read their options only from the environment.

    Variables that are already set stay unchanged.
    """
    for name, value in values.items():
        os.environ.setdefault(name, value)


@contextmanager
def overlaid(values: Mapping[str, str | None]) -> Iterator[None]:
    """Set variables for a library that reads its options only from the environment. None removes a variable.

    Restore the variables when the block ends.
    """
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def pass_to_workers(options: Mapping[str, Any]) -> None:
    """Store the parent's options in the environment, where its worker processes read them."""
    os.environ[WORKER_OPTIONS] = json.dumps(options)


def options_for_workers() -> dict[str, Any]:
    """Return the options that the parent process stored."""
    return dict(json.loads(os.environ[WORKER_OPTIONS]))

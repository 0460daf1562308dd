"""Read `.env` and `layercode.toml`. An error names the file, because both can be read by the same command."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any

from ..exceptions import ConfigurationError


def read_env(env_file: Path | str | None) -> dict[str, str]:
    """Return the variables of a `.env` file; empty if there is no file. A name without a value is omitted.

    Raises ConfigurationError if the file cannot be read.
    """
    from dotenv import dotenv_values

    found = dotenv_values(stream=io.StringIO(read_text(env_file)))
    return {name: value for name, value in found.items() if value is not None}


def read_toml(toml_file: Path | str | None) -> dict[str, Any]:
    """Return the content of a TOML file; empty if there is no file.

    Raises ConfigurationError if the file cannot be read, or is not TOML.
    """
    import tomllib

    try:
        return tomllib.loads(read_text(toml_file))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"The settings in {toml_file} could not be read: {error}") from None


def read_text(path: Path | str | None) -> str:
    """Return the text of a settings file, without a byte order mark; empty if there is no file.

    Raises ConfigurationError if the file cannot be read, or is not UTF-8.
    """
    try:
        if not path or not is_settings_file(path):
            return ""
        return _text(Path(path)) if Path(path).is_file() else _text_of_pipe(Path(path).absolute())
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"The settings in {path} could not be read: {error}. Save the file as UTF-8."
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"The settings in {path} could not be read: {error.strerror}. Run the command as the file's owner, "
            f"or change the file's permissions."
        ) from None


def is_settings_file(path: Path | str) -> bool:
    """Return whether a settings file is at this path. It may be a named pipe, such as one of a password manager."""
    return Path(path).exists() and not Path(path).is_dir()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8-sig")


@cache
def _text_of_pipe(path: Path) -> str:
    """Return the text of a named pipe. It is read only once, because a second read may wait for ever."""
    return _text(path)

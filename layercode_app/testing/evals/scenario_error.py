"""Describe the first mistake in a scenario file: its line, its place, what was expected and what was found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ...exceptions import ConfigurationError
from ...output.visible import shortened
from ...wellformed import dump_json
from .read_yaml import line_of

LONGEST_VALUE = 60


def scenario_error(path: Path, error: ValidationError) -> ConfigurationError:
    """Return the error for a scenario file with a missing, unknown or wrong field. Only one mistake is named."""
    # A value that allows several types has an error for each; the deepest error is about the intended type.
    first = max(error.errors(include_url=False), key=lambda each: len(each["loc"]))
    place = first["loc"]
    named = getattr(first.get("ctx", {}).get("error"), "field", None)
    line = line_of(path, place if named is None else (*place, named))
    message = first["msg"] + _found(first["type"], first["input"])
    return ConfigurationError(
        f"{path}, line {line}: {'.'.join(map(str, place)) or 'the file'}: {message}{'' if message.endswith('?') else '.'} "
        "`eval --schema` prints the allowed fields."
    )


def _found(kind: str, value: Any) -> str:
    """Return the end of the message for an error of this `kind`: the value that was found, as YAML reads it.

    Return "" for the kinds whose messages name the value already, or do not need it.
    """
    if kind == "string_type":
        return f", not {shortened(dump_json(value).decode(), LONGEST_VALUE)}; put text in quotes"
    if kind.endswith(("_type", "_parsing")) or kind.startswith(("less_than", "greater_than")):
        return f", not {shortened(dump_json(value).decode(), LONGEST_VALUE)}"
    return ""

"""Tolerant field types for the data of another service: a value that cannot be read counts as absent."""

from __future__ import annotations

import math
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator


def _text(value: object) -> object:
    return str(value) if _is_number(value) else value if isinstance(value, str) else None


def _amount(value: object) -> float | None:
    try:
        number = float(value) if _is_number(value) or isinstance(value, str) else math.nan  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _time(value: object) -> object:
    # `load_json` keeps an oversized integer as text. Such a text is not a time.
    if isinstance(value, str):
        return None if value.isdecimal() and _amount(value) is None else value
    return _amount(value)


def _mapping(value: object) -> object:
    return value if isinstance(value, dict) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


Identifier: TypeAlias = Annotated[str, BeforeValidator(_text)]
"""Required text; a number is converted to text."""
Text: TypeAlias = Annotated[str | None, BeforeValidator(_text)]
Amount: TypeAlias = Annotated[float | None, BeforeValidator(_amount)]
"""A finite number, or text that contains one."""
Timestamp: TypeAlias = Annotated[float | str | None, BeforeValidator(_time)]
"""Epoch milliseconds, or an ISO time."""
Mapping: TypeAlias = Annotated[dict[str, Any] | None, BeforeValidator(_mapping)]

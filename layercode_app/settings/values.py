"""The types of the settings' values. Their validators raise ValueError with the reason."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

LEVELS = ("TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL")


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _level(value: str) -> str:
    if value.upper() not in LEVELS:
        raise ValueError(f"expected one of {', '.join(LEVELS)}")
    return value.upper()


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{value!r} is not a regular expression: {error}") from None
    return value


def _rate(value: str) -> str:
    if not value:
        return value
    from limits import parse

    try:
        parse(value)
    except ValueError:
        raise ValueError(f"{value!r} is not a rate; expected a rate such as 20/minute or 100/hour") from None
    return value


def _base_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        whole = parts.scheme in ("http", "https") and parts.hostname is not None and (parts.port or 1) > 0
    except ValueError:
        whole = False
    if not whole or not value.isascii() or any(character.isspace() for character in value):
        raise ValueError(f"{value!r} is not a URL; expected a URL such as https://api.layercode.com/v1")
    return value


def _port(value: int) -> int:
    if not 0 <= value <= 65535:
        raise ValueError(f"{value} is not a port; expected 0 to 65535")
    return value


def _route(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError("expected a path that starts with /")
    return value.rstrip("/") or "/"


CommaSeparated: TypeAlias = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
SecretList: TypeAlias = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split)]
Level: TypeAlias = Annotated[str, AfterValidator(_level)]
Pattern: TypeAlias = Annotated[str, AfterValidator(_pattern)]
Rate: TypeAlias = Annotated[str, AfterValidator(_rate)]
BaseUrl: TypeAlias = Annotated[str, AfterValidator(_base_url)]
Port: TypeAlias = Annotated[int, AfterValidator(_port)]
Route: TypeAlias = Annotated[str, AfterValidator(_route)]
Positive: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveInt: TypeAlias = Annotated[int, Field(gt=0)]
NotNegativeInt: TypeAlias = Annotated[int, Field(ge=0)]

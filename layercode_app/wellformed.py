"""Well-formed text and JSON: no unpaired surrogates, and no numbers that other JSON parsers cannot represent.

JavaScript's `slice` may cut a surrogate pair in half. The half cannot be encoded as UTF-8, so it breaks the model's
client, the journal's readers and the terminal. All text and JSON from outside passes through here once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from decimal import Decimal
from fractions import Fraction
from numbers import Real
from typing import Any, TypeAlias

import orjson

Json: TypeAlias = Any
Number: TypeAlias = float | Decimal | Fraction

REPLACEMENT = "\ufffd"
"""The replacement for an unpaired surrogate."""
DEEPEST = 200
"""The maximum nesting depth of arrays and objects; pydantic's parser has the same limit."""
_LEAST, _MOST = -(2**63), 2**64 - 1
"""The integers that orjson reads and writes exactly."""
_SHORT = 18
"""An integer of at most this many characters, sign included, always lies between _LEAST and _MOST."""


def well_formed(text: str) -> str:
    """Join surrogate pairs into characters, and replace unpaired surrogates with U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def text_of(value: object) -> str:
    """Return `str(value)`, or a text with the type of the value if its `__str__` raises an error."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - the code of an agent may raise any error
        return f"<{type(value).__name__} without a text>"


def plain(value: Any, *, depth: int = DEEPEST) -> Json:
    """Return the value as JSON that every parser can read.

    Text becomes well formed. An integer over 64 bits becomes text, which keeps its digits. NaN and infinity become
    null, as in JavaScript. Values nested deeper than `depth` become null. Values of other types become their `str`.
    """
    if isinstance(value, str):
        return value if value.isascii() else well_formed(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if _LEAST <= value <= _MOST else _digits(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return _nested(value, depth - 1)


def _nested(value: Any, depth: int) -> Json:
    if depth < 0:
        return None
    if isinstance(value, dict):
        return {well_formed(str(key)): plain(item, depth=depth) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, depth=depth) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return _nested(asdict(value), depth)
    return well_formed(text_of(value))


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # Python prints at most 4,300 digits
        return hex(value)


def number_of(value: object) -> float | None:
    """Return the value as an int or float that JSON can represent.

    Return None for NaN, infinity, numbers too large for a float, and values that are not numbers.
    """
    if isinstance(value, int) and _LEAST <= value <= _MOST:
        return int(value)
    if not isinstance(value, Real | Decimal):
        return None
    try:
        number = float(value)
    except (OverflowError, ValueError):  # an integer or a fraction that is too large, or a signaling NaN
        return None
    return number if math.isfinite(number) else None


def dump_json(value: Any, *, default: Callable[[Any], Any] | None = str, option: int | None = None) -> bytes:
    """Encode a value as JSON. If orjson refuses it, convert it with `plain` first."""
    try:
        return orjson.dumps(value, default=default, option=option)
    except TypeError:
        return orjson.dumps(plain(value), option=option)


def same_json(one: Json, other: Json) -> bool:
    """Return whether two values are written as the same JSON.

    Python's `==` ignores the order of the keys of a dict, and takes `True` and `1` for equal.
    """
    if one is other:
        return True
    if type(one) is not type(other):
        return bool(one == other) and dump_json(one) == dump_json(other)
    if isinstance(one, str | int):
        return bool(one == other)
    return dump_json(one) == dump_json(other)  # most values are equal, and for these `==` would only be an extra step


def load_json(data: bytes | str) -> Json:
    """Decode JSON in UTF-8. If orjson refuses it, fall back to a parser that is less strict (`load_odd_json`).

    Raises ValueError if the data is not JSON, or is nested too deeply to be parsed.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return load_odd_json(data)


def load_odd_json(data: bytes | str) -> Json:
    """Decode JSON that a strict parser refuses because of an unpaired surrogate or a number that is too large.

    Raises ValueError if the data is not JSON, or is nested too deeply to be parsed.
    """
    # Decode here, because `json` would also accept UTF-16 and UTF-32.
    text = data if isinstance(data, str) else data.decode()
    try:
        return plain(json.loads(text, parse_int=_integer, parse_constant=_not_a_number))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _integer(digits: str) -> int | str:
    # Long integers stay text: Python refuses to convert more than 4,300 digits.
    if len(digits) <= _SHORT:
        return int(digits)
    return digits if len(digits) > 21 or not _LEAST <= int(digits) <= _MOST else int(digits)


def _not_a_number(_: str) -> None:
    """Return None, which replaces NaN and Infinity. These are not JSON, but Python's encoder writes them."""

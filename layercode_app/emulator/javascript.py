"""Parse and print JSON exactly as JavaScript does with `JSON.stringify(JSON.parse(body))`.

The official Node examples parse the body, print it again, and verify the signature of the result. They therefore accept
only bodies that JavaScript would print the same way. Python's `json.dumps` differs for floats such as `2.0` and `1e-7`,
integers beyond 2**53, lone surrogates, and the order of integer-like keys.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPED = re.compile('["\\\\\x00-\x1f\ud800-\udfff]')
_INDEX = re.compile("0|[1-9][0-9]{0,9}")
_LARGEST_INDEX = 2**32 - 2
DEEPEST = 100
"""Maximum nesting of values. Deeper values would overflow the stack while they are parsed or printed."""


def parse(text: str | bytes) -> Any:
    """Parse a JSON value. Lone surrogates are accepted. A number that is too large becomes infinity, as in JavaScript.

    `stringify` prints infinity as null. Raises ValueError for invalid JSON, such as the words NaN and Infinity, and for
    values nested more than DEEPEST levels deep.
    """
    try:
        value = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if not _is_nested(value, DEEPEST):
        return value
    raise ValueError(_TOO_DEEP)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


_TOO_DEEP = f"it is nested more than {DEEPEST} levels deep"


def _is_nested(value: Any, deeper_than: int) -> bool:
    """Return whether a value is nested deeper than `deeper_than`. Go level by level, to avoid recursion."""
    level = [value]
    for _ in range(deeper_than):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return any(isinstance(inner, dict | list) for inner in level)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def stringify(value: Any) -> str:
    """Print a JSON value as JavaScript would after parsing it.

    Raises TypeError, naming the type, for a value that JSON cannot hold.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_string(key)}:{stringify(value[key])}" for key in _ordered(value)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(stringify, value)) + "]"
    raise TypeError(f"JSON cannot hold a {type(value).__name__}; expected text, number, boolean, None, list or dict")


def _string(text: Any) -> str:
    if not isinstance(text, str):
        raise TypeError(f"a JSON object's keys are text, not {type(text).__name__}: {text!r}")
    # The round trip through UTF-16 joins surrogate pairs, which JavaScript treats as one character.
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return '"' + _ESCAPED.sub(lambda match: _ESCAPES.get(match[0], f"\\u{ord(match[0]):04x}"), joined) + '"'


def _ordered(mapping: Mapping[Any, Any]) -> list[Any]:
    """Return the keys in JavaScript's order: array indices ascending, then the others in insertion order."""
    indices = [key for key in mapping if _is_index(key)]
    return [*sorted(indices, key=int), *(key for key in mapping if not _is_index(key))]


def _is_index(key: Any) -> bool:
    return isinstance(key, str) and _INDEX.fullmatch(key) is not None and int(key) <= _LARGEST_INDEX


def _number(value: float) -> str:
    """Format a number like ECMAScript's Number::toString. Python's repr already yields the same shortest digits."""
    try:
        number = float(value)
    except OverflowError:
        return "null"
    if not math.isfinite(number):
        return "null"
    if number == 0:
        return "0"
    mantissa, _, exponent = repr(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    # `point` is the position of the decimal point, counted from the first significant digit.
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    return ("-" if number < 0 else "") + _place(digits.rstrip("0"), point)


def _place(digits: str, point: int) -> str:
    count = len(digits)
    if count <= point <= 21:
        return digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    power = point - 1
    rest = f".{digits[1:]}" if count > 1 else ""
    return f"{digits[0]}{rest}e{'-' if power < 0 else '+'}{abs(power)}"

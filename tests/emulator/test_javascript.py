"""The serialiser's output equals that of JSON.stringify(JSON.parse(body)) in node."""

import json
import struct
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layercode_app.emulator.javascript import parse, stringify

from ..support import need_program
from ..thoroughness import times

ROUND_TRIP = """
const lines = require('fs').readFileSync(0, 'utf8').split('\\n');
console.log(lines.map(line => JSON.stringify(JSON.parse(line))).join('\\n'));
"""

TRAPS = [
    2.0, -0.0, 0, 1e-7, 1.5e-7, 1e-6, 123456e-12, 1e21, 1e20, 123456789012345680000, 12345678901234567890, 2**53 + 1,
    5e-324, sys.float_info.max, 10**400, 0.1 + 0.2, 100, 1e2, 1.25e22, -1e-10, True, None, "", "\x00\x1f\x7f", "é☃😀",
    "\ud800", "a\udc00b", "\ud83d" + "\ude00", "\u2028\u2029", '"\\/\b\f\n\r\t',
    {"b": 1, "10": 2, "9": 3, "a": 4, "01": 5, "-1": 6, "4294967294": 7, "4294967295": 8, "1.0": 9, "": 10, "0": 11},
    {"__proto__": {"x": 1}, "constructor": 2, "٣": 3}, [], {}, [[1.0, {"2": {"1": 1.0}}]],
]  # fmt: skip


def in_node(values: list[Any]) -> list[str]:
    lines = "\n".join(json.dumps(value) for value in values)
    done = subprocess.run(
        [need_program("node"), "-e", ROUND_TRIP], input=lines, capture_output=True, text=True, timeout=100, check=True
    )
    return done.stdout.removesuffix("\n").split("\n")


def compare(values: list[Any]) -> None:
    for value, expected in zip(values, in_node(values), strict=True):
        assert stringify(value) == expected, f"{value!r}"


def test_the_known_traps() -> None:
    compare(TRAPS)


def test_floats_of_every_size() -> None:
    powers = [float(f"{digits}e{power}") for digits in ("1", "-1.7", "9007199254740993") for power in range(-330, 300)]
    bits = [struct.unpack("<d", struct.pack("<Q", n * 0x9E3779B97F4A7C15 % 2**64))[0] for n in range(3000)]
    compare([number for number in powers + bits if number == number and abs(number) != float("inf")])


NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(codec=None, exclude_characters="\n"), max_size=8) | st.integers(0, 2**33).map(str)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=6),
    max_leaves=12,
)


@settings(max_examples=times(40), deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=20))
@pytest.mark.slow
def test_any_value(values: list[Any]) -> None:
    compare(values)


@settings(deadline=None)
@given(VALUES)
def test_stringifying_again_changes_nothing(value: Any) -> None:
    once = stringify(value)
    assert stringify(json.loads(once)) == once
    once.encode()


@pytest.mark.parametrize("value", [{1: 2}, {"a": object()}, {1, 2}, b"x"])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=r"JSON"):
        stringify(value)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", '{"a": [NaN]}'])
def test_numbers_that_javascript_refuses_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not JSON"):
        parse(text)

"""Numbers, digits and times are found in what people say."""

from __future__ import annotations

import pytest

from layercode_app.agent import sentence


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("a table for two tomorrow at seven", "tomorrow at seven"),
        ("at 7 pm for four people", "at 7 pm"),
        ("Tomorrow morning, please", "Tomorrow morning"),
        ("on Monday after half past ten", "on Monday after half past ten"),
        ("at four o'clock or so", "at four o'clock"),
        ("next Friday at noon", "next Friday at noon"),
        ("any time", "any time"),
        ("we met at the sunny cafe", ""),
    ],
)
def test_times(text: str, when: str) -> None:
    assert sentence.when(text) == when


def test_digits_and_numbers() -> None:
    assert sentence.digits("order one oh four 2, please") == "1042"
    assert sentence.digits("none") == ""
    assert sentence.numbers("four people and 2 dogs at seven") == [4, 2]
    assert sentence.numbers("someone") == []


@pytest.mark.parametrize(
    ("text", "quantity"),
    [("Three warm croissants", 3), ("a dozen croissants", 12), ("two coffees, a croissant", 1), ("no", 1), ("a couple of croissants", 2)],
)  # fmt: skip
def test_the_quantity_of_an_item(text: str, quantity: int) -> None:
    assert sentence.quantity(text, "croissant") == quantity

"""Answers of `mcp` stay within their size, say what they left out, and lead to the rest."""

from __future__ import annotations

from typing import Any

import pytest

from layercode_app.cli.mcp.bounded import ANSWER_BYTES, ROW_BYTES, fitted, page, size


def test_a_row_that_fits_is_as_it_was() -> None:
    row = {"text": "a" * 3_000, "items": list(range(300))}
    assert fitted(row) is row


def test_a_long_text_says_how_long_it_was() -> None:
    row: Any = fitted({"text": "a" * 20_000, "other": "short"})
    assert row == {"text": "a" * 4_000 + "… (20000 characters)", "other": "short"}


def test_a_long_list_says_how_many_there_were() -> None:
    row: Any = fitted({"items": ["bun"] * 3_000})
    assert row["items"][-1] == "… (3000 items)"
    assert set(row["items"][:-1]) == {"bun"}


def test_many_fields_of_a_value_are_cut_but_those_of_the_row_are_kept() -> None:
    fields = {f"field {number}": "tea" for number in range(40)}
    row: Any = fitted(fields | {"field 39": {str(number): "cake " * 10 for number in range(3_000)}})
    assert list(row) == list(fields)
    assert row["field 39"]["…"] == "3000 fields"


def test_what_lies_too_deep_is_left_out() -> None:
    deep: Any = "a" * 10_000
    for _ in range(20):
        deep = [deep]
    assert "…" in str(fitted({"deep": deep}))
    assert size(fitted({"deep": deep})) < 100


@pytest.mark.parametrize("value", ["é" * 50_000, {"a": {"b": ["c" * 9_000] * 900}}, ["x"] * 50_000])
def test_any_value_fits(value: Any) -> None:
    assert size(fitted(value)) <= ROW_BYTES
    assert size(fitted(value, 500)) <= 500


def test_what_cannot_be_shortened_says_which_command_writes_it() -> None:
    row: Any = fitted({f"{number:04}": number for number in range(40)}, 60)
    assert "sessions export" in row["left_out"]


def test_pages_follow_one_another_until_the_last() -> None:
    rows: list[Any] = [{"number": number, "text": "a" * 3_000} for number in range(40)]
    seen, offset = [], 0
    while True:
        answer: Any = page(rows[offset:], offset=offset, more=False)
        assert size(answer["rows"]) <= ANSWER_BYTES + 1_000
        seen += [row["number"] for row in answer["rows"]]
        if "next_offset" not in answer:
            break
        offset = answer["next_offset"]
        assert f"offset={offset}" in answer["more"]
    assert seen == list(range(40))


def test_a_full_page_says_that_there_are_more_rows() -> None:
    assert page(["one"], offset=7, more=True)["next_offset"] == 8
    assert "next_offset" not in page(["one"], offset=7, more=False)

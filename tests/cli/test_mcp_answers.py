"""Answers of `mcp` stay within a size limit. They say how much was left out, and how to get the rest."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.models.function import DeltaToolCall, FunctionModel

from layercode_app import VoiceAgent
from layercode_app.cli.mcp.bounded import ANSWER_BYTES, ROW_BYTES, fitted, page, size
from layercode_app.cli.mcp.search import search
from layercode_app.testing import open_call


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


async def _soup(messages: Any, info: Any) -> Any:
    if messages[-1].parts[-1].part_kind == "user-prompt":
        yield {1: DeltaToolCall(name="look_up", json_args='{"day": "monday"}', tool_call_id="c")}
    else:
        yield 'It is called "Leek soup" today.'


@pytest.mark.anyio
async def test_a_search_finds_what_was_said_and_not_the_names_of_fields() -> None:
    cook = Agent(FunctionModel(stream_function=_soup))

    @cook.tool_plain
    async def look_up(day: str) -> str:
        return "soup of 4711"

    async with open_call(VoiceAgent("shop", cook)) as call:
        await call.say("What soup?")
        for text in ('called "leek', "look_up", "monday", "4711"):
            assert len((await search(call.app.store, text, limit=5, offset=0))["rows"]) == 1, text
        for text in ("name", "args", "result", "null", '": '):
            assert (await search(call.app.store, text, limit=5, offset=0))["rows"] == [], text

"""The arguments of a task: stored as JSON, and converted back to the types of the task's parameters."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from loguru import logger
from pydantic import BaseModel

from layercode_app import LayerCode, Turn, VoiceAgent
from layercode_app.conversation.page_data import to_json
from layercode_app.jobs.tasks import typed_arguments

from ..calling import calling, settings

if TYPE_CHECKING:
    from fractions import Fraction


class Order(BaseModel):
    day: dt.date
    price: Decimal


@dataclass
class Guest:
    name: str
    born: dt.date | None = None


GIVEN: dict[str, Any] = {
    "day": dt.date(2026, 12, 8),
    "at": dt.datetime(2026, 12, 8, 9, 30, tzinfo=dt.UTC),
    "order": Order(day=dt.date(2026, 12, 8), price=Decimal("3.20")),
    "guests": [Guest("Ada", dt.date(2000, 2, 29)), Guest("Bob")],
    "tags": {"a", "b"},
    "note": "2026-12-08",
    "count": 3,
}


async def remind(
    day: dt.date, at: dt.datetime, order: Order, guests: list[Guest], tags: set[str], note: str, count: int = 1
) -> None:
    pass


async def loose(day, number: Fraction, event: asyncio.Event, date: dt.date) -> None:  # type: ignore[no-untyped-def]
    pass


@pytest.mark.anyio
async def test_a_task_gets_what_the_turn_gave(tmp_path: Path) -> None:
    voice, got = VoiceAgent("desk"), asyncio.Queue[dict[str, Any]]()

    @voice.task
    async def book(day: dt.date, order: Order) -> None:
        got.put_nowait({"day": day, "order": order})

    @voice.on_message
    async def answer(turn: Turn) -> str:
        turn.background(book, day=GIVEN["day"], order=GIVEN["order"])
        return "Booked."

    async with calling(LayerCode(voice, settings=settings(tmp_path))) as caller, asyncio.timeout(100):
        assert (await caller.say("book")).spoken == "Booked."
        assert await got.get() == {"day": GIVEN["day"], "order": GIVEN["order"]}


def test_each_argument_gets_its_type_back() -> None:
    assert typed_arguments(remind, to_json("turn.background", GIVEN)) == GIVEN


def test_an_argument_without_a_usable_annotation_stays_json() -> None:
    given = {"day": "2026-12-08", "number": "1/3", "event": {}, "date": "2026-12-08", "other": "2026-12-08"}
    assert typed_arguments(loose, given) == given | {"date": dt.date(2026, 12, 8)}


def test_a_value_that_does_not_fit_stays_json_and_is_reported() -> None:
    lines: list[str] = []
    sink = logger.add(lines.append, level="WARNING", format="{message}")
    try:
        assert typed_arguments(remind, {"day": "one of the days", "count": 2}) == {"day": "one of the days", "count": 2}
    finally:
        logger.remove(sink)
    assert "".join(lines) == (
        "The task's argument 'day' does not fit its type, so the task gets its JSON value: date_from_datetime_parsing\n"
    )

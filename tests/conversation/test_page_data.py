"""Data that tools and hooks send to the page is converted to JSON as soon as they pass it to `turn.data`.

So data that cannot be converted raises its error there, and the words of the same turn are not lost.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from layercode_app import LayerCode, Turn, VoiceAgent
from layercode_app.conversation.page_data import to_json
from layercode_app.exceptions import DeveloperError

from ..calling import calling, settings

pytestmark = pytest.mark.anyio


class Basket(BaseModel):
    items: int = 0
    due: date = date(2030, 5, 1)


@dataclass
class Point:
    x: int


BASKET = {"items": 0, "due": "2030-05-01"}


@pytest.mark.parametrize(
    ("content", "sent"),
    [
        (Basket(), BASKET),
        ({"basket": Basket(), "at": date(2030, 5, 1)}, {"basket": BASKET, "at": "2030-05-01"}),
        ([Point(1), {2}], [{"x": 1}, [2]]),
        (None, None),
    ],
)
async def test_data_of_a_turn_becomes_json_and_the_words_beside_it_are_said(
    content: Any, sent: Any, tmp_path: Path
) -> None:
    voice = VoiceAgent("shop")

    @voice.on_message
    async def reply(turn: Turn) -> None:
        turn.data(content)
        turn.say("Added.")

    app = LayerCode(voice, settings=settings(tmp_path))
    async with calling(app) as caller:
        reply_ = await caller.say("hello", turn_id="t1")
        record = await app.store.get(caller.conversation_id, "t1")
    assert reply_.spoken == "Added."
    assert [frame.content for frame in reply_.frames if frame.type == "response.data"] == [sent]
    assert record is not None
    assert record.frames[0].content == sent


async def test_data_that_cannot_become_json_fails_at_the_call(tmp_path: Path) -> None:
    voice, raised = VoiceAgent("shop"), []

    @voice.on_message
    async def reply(turn: Turn) -> str:
        try:
            turn.data({"till": object()})
        except DeveloperError as error:
            raised.append(str(error))
        return "Added."

    async with calling(LayerCode(voice, settings=settings(tmp_path))) as caller:
        assert (await caller.say("hello")).spoken == "Added."
    assert raised[0].startswith("turn.data: a value in dict cannot be converted to JSON: ")
    assert "<class 'object'>" in raised[0]
    assert "`.model_dump()`" in raised[0]


async def test_a_data_hook_may_return_a_model_and_a_task_may_get_one(tmp_path: Path) -> None:
    voice = VoiceAgent("shop", greeting="Hello!")
    got: asyncio.Queue[Any] = asyncio.Queue()

    @voice.task
    async def receipt(basket: Any) -> None:
        got.put_nowait(basket)

    @voice.on_data
    async def clicked(turn: Turn, data: Any) -> Any:
        turn.background(receipt, basket=Basket())
        return Basket()

    async with calling(LayerCode(voice, settings=settings(tmp_path))) as caller, asyncio.timeout(100):
        assert (await caller.send({"type": "data", "data": "order"})).json == BASKET
        assert await got.get() == BASKET


@pytest.mark.parametrize("content", [b"\xff", object(), print], ids=["bytes", "object", "function"])
def test_other_values_are_refused(content: object) -> None:
    with pytest.raises(DeveloperError, match="cannot be converted to JSON"):
        to_json("turn.data", content)


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(DeveloperError, match="cannot be converted to JSON"):
        to_json("turn.data", loop)

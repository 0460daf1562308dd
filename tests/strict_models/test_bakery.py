"""The bakery agent of the package answers thirty turns with each model server, and never apologises for a failure.

The caller interrupts every third turn.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from layercode_app.agent.discovery import find_agent

from . import ALL, Asked, Call, Hang, Say, Step, StrictModel, StrictResponses, Think
from .talk import Talk, interrupt, talking

pytestmark = pytest.mark.anyio

TURNS = 30
TOLD = "Your basket is filled, "


async def fills_the_basket(asked: Asked) -> AsyncIterator[Step]:
    """Think, add a croissant, and say so.

    In every third turn, keep the answer open without sending more, as if more text would follow.
    """
    number = sum(line.role == "user" and line.text.startswith("And ") for line in asked.lines) + 1
    yield Think("A croissant costs two forty.")
    if asked.lines[-1].role != "result":
        yield Say("One moment. ")
        yield Call("add_item", '{"item": "croissant", "quantity": 1}')
        return
    yield Say(TOLD)
    if number % 3 == 0:
        yield Hang()
    yield Say("shall I place the order?")


def bakery(model: Any) -> Any:
    voice = find_agent("bakery")
    voice.use_model(model)
    return voice


KINDS = [pytest.param(kind, marks=() if kind is StrictResponses else pytest.mark.slow) for kind in ALL]


@pytest.mark.parametrize("kind", KINDS)
async def test_thirty_turns_with_interruptions(kind: type[StrictModel]) -> None:
    server = kind(fills_the_basket)
    async with talking(server, bakery) as talk:
        for number in range(1, TURNS + 1):
            await one_turn(talk, number)
        records = [record async for record in talk.store.turns()]
        state = (await talk.store.conversation("c")).state
    assert server.refused == []
    assert [record.impact for record in records] == ["nothing"] * TURNS
    assert state["items"] == {"croissant": TURNS}
    callers = [line.text for line in talk.lines if line.role == "user" and not line.text.startswith("[")]
    assert callers[0] == "My name is Rosalind, a croissant please."
    assert len(callers) == TURNS
    # The model does not read the part of an interrupted answer that the caller did not hear.
    assert talk.said("assistant").count("shall I place the order?") == TURNS - TURNS // 3


async def one_turn(talk: Talk, number: int) -> None:
    text = "My name is Rosalind, a croissant please." if number == 1 else f"And another one, number {number}."
    if number % 3 == 0:
        heard = await interrupt(talk, text, lambda ear: ear.spoken.endswith(TOLD))
        assert heard == f"One moment. {TOLD}"
        return
    # The platform reports what was heard of the turn before, which was cut in the middle of a word.
    context = {"previous_turn_interrupted": True, "text_heard": "One moment. Your bask", "words_heard": 4}
    more = {"interruption_context": context} if number % 3 == 1 and number > 1 else {}
    assert await talk.say(text, **more) == f"One moment. {TOLD}shall I place the order?"

"""Changes that Python's `==` does not see are saved, undone and taken over too: the order of keys, and `True` for 1."""

from __future__ import annotations

import copy
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from layercode_app import Turn, VoiceAgent
from layercode_app.conversation.state import LiveState
from layercode_app.journal.merge_state import MISSING
from layercode_app.testing import open_call
from layercode_app.wellformed import dump_json, same_json


class Pet(BaseModel):
    fed: bool | int = 0


class State(BaseModel):
    queue: dict[str, int] = {"ann": 1, "bob": 2}
    ordered: OrderedDict[str, int] = OrderedDict(ann=1, bob=2)
    counted: Counter[str] = Counter(ann=1, bob=2)
    answer: bool | int = 1
    answers: list[dict[str, bool | int]] = [{"smokes": 0}, {"smokes": 1}]
    pets: list[Pet] = [Pet(), Pet(fed=1)]


def _to_the_end(people: dict[str, Any]) -> None:
    people["ann"] = people.pop("ann")


CHANGES: dict[str, Callable[[State], object]] = {
    "queue": lambda state: _to_the_end(state.queue),
    "ordered": lambda state: state.ordered.move_to_end("ann"),
    "counted": lambda state: _to_the_end(state.counted),
    "answer": lambda state: setattr(state, "answer", True),
    "answers": lambda state: state.answers[0].update(smokes=False),
    "pets": lambda state: setattr(state.pets[1], "fed", True),
}


@pytest.mark.anyio
@pytest.mark.parametrize("field", CHANGES)
async def test_they_are_saved(field: str) -> None:
    voice = VoiceAgent("shop", state=State)

    @voice.on_message
    async def answer(turn: Turn[State]) -> str:
        if turn.text == "change":
            CHANGES[field](turn.state)
        return turn.state.model_dump_json()

    async with open_call(voice) as call:
        before = (await call.say("look")).spoken
        changed = (await call.say("change")).spoken
        assert changed != before
        assert (await call.say("look")).spoken == changed


@pytest.mark.parametrize("field", CHANGES)
def test_they_are_undone_and_the_parts_stay_the_same_objects(field: str) -> None:
    state = LiveState.load(State, {}, "c")
    before, part = state.model.model_dump_json(), getattr(state.model, field)
    state.begin("tool")
    CHANGES[field](state.model)
    assert state.model.model_dump_json() != before
    state.cancel("tool")
    assert state.model.model_dump_json() == before
    assert field == "answer" or getattr(state.model, field) is part


@pytest.mark.parametrize("field", CHANGES)
def test_they_are_taken_over_from_another_worker(field: str) -> None:
    here, there = LiveState.load(State, State().model_dump(mode="json"), "c"), State()
    CHANGES[field](there)
    here.take_over(there.model_dump(mode="json"), 1.0)
    assert here.model.model_dump_json() == there.model_dump_json()
    assert here.changes() == {}


def test_a_class_whose_fields_have_another_order_now_changes_nothing() -> None:
    class Old(BaseModel):
        a: int = 1
        b: int = 2

    class New(BaseModel):
        b: int = 2
        a: int = 1

    class Outer(BaseModel):
        inner: New = New()
        n: int = 0

    stored = {"n": 0, "inner": Old().model_dump()}
    state = LiveState.load(Outer, stored, "c")
    assert dump_json(state.fields()["inner"]) != dump_json(stored["inner"])
    state.take_over(stored, 1.0)
    assert state.changes() == {}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1, True),
        (1, True, False),
        (1, 1.0, False),
        (0.0, -0.0, False),
        (2**70, 2**70, True),
        (2**70, 2**70 + 1, False),
        ("a", "a", True),
        ("a", "b", False),
        ("1", 1, False),
        (None, None, True),
        (None, False, False),
        (None, {}, False),
        ([1, 2], [1, 2], True),
        ([1, 2], [2, 1], False),
        ([1], [True], False),
        ({"a": 1, "b": [2]}, {"a": 1, "b": [2]}, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False),
        (OrderedDict(a=1), {"a": 1}, True),
        ([], {}, False),
        (MISSING, MISSING, True),
        (MISSING, object(), False),
        (MISSING, None, False),
    ],
)
def test_values_are_the_same_if_they_are_written_as_the_same_json(one: Any, other: Any, same: bool) -> None:
    assert same_json(one, copy.deepcopy(other) if isinstance(other, list | dict) else other) is same
    assert same_json(other, one) is same

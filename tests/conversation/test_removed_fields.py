"""An extra field that was removed from a state stays removed, unless a cancelled tool removed it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

from layercode_app import Turn, VoiceAgent
from layercode_app.conversation.state import LiveState
from layercode_app.journal.merge_state import REMOVED
from layercode_app.testing import open_call


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    n: int = Field(0, alias="count")


class Closed(BaseModel):
    n: int = 0


class Noted(BaseModel):
    """The state in an app's earlier release. The next release renames the field `note`."""

    model_config = ConfigDict(extra="allow")
    note: str = ""


class Migrated(BaseModel):
    model_config = ConfigDict(extra="allow")
    remark: str = ""

    @model_validator(mode="before")
    @classmethod
    def rename(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {"remark" if name == "note" else name: value for name, value in values.items()}


class Renamed(BaseModel):
    model_config = ConfigDict(extra="allow")
    remark: str = Field("", validation_alias=AliasChoices("remark", "note"))


def _change(state: Any, text: str) -> None:
    if text == "add":
        state.note = "x"
    elif text == "remove":
        del state.note


@pytest.mark.anyio
async def test_a_removed_field_does_not_come_back_unless_it_is_added_again() -> None:
    voice = VoiceAgent("shop", state=Open)

    @voice.on_message
    async def answer(turn: Turn[Open]) -> str:
        _change(turn.state, turn.text)
        return str(turn.state.model_extra)

    async with open_call(voice) as call:
        for text, extra in (("add", {"note": "x"}), ("remove", {}), ("look", {}), ("add", {"note": "x"})):
            assert (await call.say(text)).spoken == str(extra)
            assert await call.state() == {"n": 0} | extra


def test_a_field_that_a_cancelled_tool_removed_is_restored() -> None:
    state = LiveState.load(Open, {"n": 1, "note": "x"}, "c")
    for _ in range(2):
        state.begin("tool")
        _change(state.model, "remove")
        state.cancel("tool")
        assert state.fields() == {"n": 1, "note": "x"}
    assert state.changes() == {}


@pytest.mark.parametrize("scope", ["", "layercode.of.shop."])
def test_a_field_that_another_worker_removed_is_removed_here(scope: str) -> None:
    state = LiveState.load(Open, {scope + "n": 1, scope + "note": "x", scope + "tip": 2}, "c", scope)
    state.model.tip = 3  # type: ignore[attr-defined]
    stored = {scope + "n": 1, scope + "note": REMOVED, scope + "tip": REMOVED}
    state.take_over(stored, 1.0)
    assert state.fields() == {"n": 1, "tip": 3}
    assert state.changes() == {scope + "tip": 3}
    assert LiveState.load(Open, stored, "c", scope).fields() == {"n": 1}


def test_a_field_that_another_worker_added_is_taken_over() -> None:
    state = LiveState.load(Open, {"n": 1}, "c")
    state.take_over({"n": 1, "note": "x"}, 1.0)
    assert (state.fields(), state.changes()) == ({"n": 1, "note": "x"}, {})


def test_a_state_whose_fields_were_all_removed_is_not_forgotten() -> None:
    class Extras(BaseModel):
        model_config = ConfigDict(extra="allow")

    state = LiveState.load(Extras, {"note": "x", "tip": 1}, "c")
    _change(state.model, "remove")
    stored = {"tip": REMOVED} | state.changes()
    assert not state.forgotten(stored, 1.0)
    assert state.forgotten({}, 1.0)


def test_a_field_that_cannot_be_saved_or_that_the_class_no_longer_has_is_not_removed() -> None:
    state = LiveState.load(Open, {"count": 1, "note": "x"}, "c")
    state.model.note = object()  # type: ignore[attr-defined]
    assert state.changes() == {"n": 1}
    assert LiveState.load(Closed, {"n": 0, "note": "x"}, "c").changes() == {}


@pytest.mark.parametrize("newer", [Migrated, Renamed])
def test_a_field_that_a_newer_class_renamed_is_not_removed(newer: type[BaseModel]) -> None:
    stored = {"note": "allergic to nuts"}
    for kind in (newer, Noted, newer):
        state = LiveState.load(kind, stored, "c")
        state.take_over(stored | {"other": 1}, 1.0)
        stored |= state.changes()
        assert "allergic to nuts" in state.fields().values()
    assert stored == {"note": "allergic to nuts", "remark": "allergic to nuts"}


def test_an_extra_field_that_was_taken_over_or_saved_can_be_removed() -> None:
    state = LiveState.load(Open, {"n": 1}, "c")
    state.take_over({"n": 1, "note": "x"}, 1.0)
    _change(state.model, "remove")
    assert state.changes() == {"note": REMOVED}
    state.mark_saved(state.changes())
    _change(state.model, "add")
    added = state.changes()
    _change(state.model, "remove")  # a tool, while the field is saved
    state.mark_saved(added)
    assert state.changes() == {"note": REMOVED}


def test_a_value_that_cannot_be_saved_is_reset_to_the_saved_one() -> None:
    class Odd(BaseModel):
        items: Any = ()

    state = LiveState.load(Odd, {"items": [1]}, "c")
    state.model.items = object()
    state.begin("tool")
    state.model.items = [2]
    state.cancel("tool")
    assert state.model.items == [1]

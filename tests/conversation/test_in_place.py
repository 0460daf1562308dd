"""When a tool's changes to a state are undone, each part has its old values, and stays the same object if possible.

Hooks and other tools may hold a reference to a part.
"""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from layercode_app.conversation.in_place import LONGEST, InPlace
from layercode_app.conversation.state import LiveState


class Item(BaseModel):
    name: str


class State(BaseModel):
    items: list[Item] = []
    current: Item | None = None
    by_name: dict[str, Item] = {}
    tags: set[str] = set()


def _undone(before: dict[str, Any], change: Any) -> tuple[State, State]:
    """Return a copy of the state from before a tool's `change`, and the state after the tool was cancelled."""
    state = LiveState.load(State, before, "c")
    saved = state.model.model_copy(deep=True)
    state.begin("tool")
    change(state.model)
    state.cancel("tool")
    return saved, state.model


def _replace_first(state: State) -> None:
    state.items[0] = Item(name="new")


@pytest.mark.parametrize(
    "change",
    [
        lambda state: setattr(state, "current", state.items[1]),
        lambda state: setattr(state.current, "name", "changed"),
        lambda state: state.items.insert(0, Item(name="new")),
        lambda state: state.items.reverse(),
        lambda state: state.items.pop(0),
        lambda state: state.by_name.update(b=state.items[0]),
        lambda state: state.tags.add("new"),
        _replace_first,
    ],
    ids=["other", "changed", "inserted", "reversed", "removed", "shared", "tag", "replaced"],
)
def test_a_cancelled_tool_leaves_the_state_as_it_was(change: Any) -> None:
    items = [{"name": "a"}, {"name": "b"}]
    saved, model = _undone({"items": items, "current": {"name": "a"}, "by_name": {"a": {"name": "a"}}}, change)
    assert model == saved


def test_a_part_that_only_others_hold_stays_the_same_object() -> None:
    state = LiveState.load(State, {"items": [{"name": "a"}, {"name": "b"}]}, "c")
    first, second = state.model.items
    state.begin("tool")
    state.model.items.insert(0, Item(name="new"))
    second.name = "changed"
    state.cancel("tool")
    assert state.model.items[0] is first
    assert [item.name for item in state.model.items] == ["a", "b"]


def test_a_state_whose_parts_are_shared_can_be_assigned() -> None:
    state = LiveState.load(State, {"items": [{"name": "a"}, {"name": "b"}]}, "c")
    state.model.current = state.model.items[1]
    state.assign(State(items=[Item(name="x"), Item(name="y")], current=Item(name="x")))
    assert state.model == State(items=[Item(name="x"), Item(name="y")], current=Item(name="x"))


def test_assigning_a_changed_copy_of_the_state_keeps_the_other_parts() -> None:
    state = LiveState.load(State, {"items": [{"name": "a"}], "tags": ["x"]}, "c")
    model, items, tags = state.model, state.model.items, state.model.tags
    state.assign(model.model_copy(update={"tags": {"y"}}))
    assert (state.model is model, state.model.items is items, state.model.tags) == (True, True, {"y"})
    assert tags == {"x"}
    state.assign(model)
    assert state.model.items is items


def test_a_long_list_is_replaced_at_once() -> None:
    old, new = State(items=[Item(name="a")] * (LONGEST + 1)), [Item(name=str(number)) for number in range(LONGEST + 1)]
    kept = old.items
    assert InPlace(old, {id(kept)}).changed(old.items, new) is kept
    assert old.items == new

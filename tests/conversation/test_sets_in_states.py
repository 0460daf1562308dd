"""Sets in a state are saved in one order. Their order in memory differs between workers, although nothing changed."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, RootModel, computed_field

from layercode_app.conversation.state import LiveState

ONE, OTHER = {0, 8}, {8, 0}
"""Equal sets, in which the items have different orders, because these numbers have the same place in a small set."""


class Item(BaseModel):
    model_config = ConfigDict(frozen=True)
    tags: frozenset[int] = frozenset()


class Numbers(RootModel[set[int]]):
    root: set[int] = set()


@dataclass
class Cart:
    tags: set[int] = field(default_factory=set)


class Tag(BaseModel):
    model_config = ConfigDict(serialize_by_alias=True)
    tags: set[int] = Field(default=set(), alias="labels")


class State(BaseModel):
    model_config = ConfigDict(extra="allow")
    tags: set[int] = set()
    frozen: frozenset[int] = frozenset()
    nested: set[frozenset[int]] = set()
    models: set[Item] = set()
    by_name: dict[str, set[int]] = {}
    many: list[set[int]] = []
    pair: tuple[set[int], int] = (set(), 0)
    recent: deque[set[int]] = deque()
    root: Numbers = Numbers()
    cart: Cart = Cart()
    aliased: Tag = Tag()
    maybe: set[int] | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def all_tags(self) -> set[int]:
        return self.tags


def _state(numbers: set[int]) -> State:
    return State(
        tags=numbers,
        frozen=frozenset(numbers),
        nested={frozenset(numbers)},
        models={Item(tags=frozenset(numbers))},
        by_name={"a": numbers},
        many=[numbers],
        pair=(numbers, 1),
        recent=deque([numbers]),
        root=Numbers(numbers),
        cart=Cart(numbers),
        aliased=Tag(labels=numbers),
        maybe=numbers,
    )


def test_equal_sets_are_saved_in_the_same_order() -> None:
    assert list(ONE) != list(OTHER)
    fields = LiveState(_state(ONE), {}).fields()
    assert LiveState(_state(OTHER), {}).fields() == fields
    assert fields["models"] == [{"tags": [0, 8]}]
    assert (fields["aliased"], fields["cart"]) == ({"labels": [0, 8]}, {"tags": [0, 8]})


def test_sets_that_were_loaded_are_not_saved_again() -> None:
    stored = LiveState(_state(ONE), {}).fields()
    state = LiveState.load(State, stored, "c")
    state.model.tags = set(OTHER)
    state.model.many[0] = set(OTHER)
    assert state.changes() == {}
    state.model.tags.add(1)
    assert state.changes() == {"tags": [0, 1, 8], "all_tags": [0, 1, 8]}


def test_sets_are_sorted_even_if_another_field_cannot_be_saved() -> None:
    class Odd(BaseModel):
        tags: set[int] = set()
        thing: Any = None

    fields = LiveState(Odd(tags={8, 0}, thing=object()), {}).fields()
    assert fields == {"tags": [0, 8]}


def test_the_order_of_everything_else_is_kept() -> None:
    class Ordered(BaseModel):
        tags: set[str] = set()
        items: list[str] = []
        by_name: dict[str, int] = {}

    state = Ordered(tags={"b", "a"}, items=["b", "a"], by_name={"b": 1, "a": 2})
    fields = LiveState(state, {}).fields()
    assert (fields["items"], list(fields["by_name"]), fields["tags"]) == (["b", "a"], ["b", "a"], ["a", "b"])

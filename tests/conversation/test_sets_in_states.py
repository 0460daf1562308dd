"""Equal sets in a state are saved in the same order, so that an unchanged set is not saved again.

In memory, equal sets can have different orders in different workers.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Json, RootModel, computed_field

from layercode_app.conversation.set_types import field_may_hold_sets
from layercode_app.conversation.state import LiveState

ONE, OTHER = {0, 8}, {8, 0}
"""Two equal sets whose items are in different orders, because both numbers have the same hash slot in a small set."""


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


def test_a_computed_field_without_sets_is_computed_once() -> None:
    computed = list[str]()

    class Counted(BaseModel):
        tags: set[int] = set()

        @computed_field  # type: ignore[prop-decorator]
        @property
        def total(self) -> int:
            computed.append("total")
            return len(self.tags)

        @computed_field(alias="everyTag")  # type: ignore[prop-decorator]
        @property
        def every_tag(self) -> list[Item]:
            return [Item(tags=frozenset(self.tags))]

    fields = LiveState(Counted(tags=OTHER), {}).fields()
    assert fields == {"tags": [0, 8], "total": 2, "every_tag": [{"tags": [0, 8]}]}
    assert computed == ["total"] * 2  # `LiveState` dumps the state, too


@pytest.mark.parametrize("name", ["model_fields", "copy", "__fields_set__", "thing"])
def test_an_extra_field_may_have_the_name_of_an_attribute(name: str) -> None:
    state = LiveState.load(State, {name: [1]}, "c")
    assert state.fields()[name] == [1]
    assert state.model.model_extra is not None
    state.model.model_extra[name] = [OTHER]
    assert state.fields()[name] == [[0, 8]]


def test_sets_of_one_type_and_of_several_types_have_a_fixed_order() -> None:
    class Mixed(BaseModel):
        texts: set[str] = {"b", "a", "a!"}
        numbers: set[int] = {10, 9}
        both: set[str | int] = {"a", 1}
        pairs: set[tuple[int, str]] = {(2, "a"), (1, "b")}

    fields = LiveState(Mixed(), {}).fields()
    assert (fields["texts"], fields["numbers"]) == (["a", "a!", "b"], [9, 10])
    assert (fields["both"], fields["pairs"]) == (["a", 1], [[1, "b"], [2, "a"]])


class Tree(BaseModel):
    name: Annotated[str, Field(min_length=1)] = "root"
    kind: Literal["a", "b"] | None = None
    by_name: dict[str, list[Annotated[int, Field(gt=0)]]] = {}
    pairs: tuple[int, ...] = ()
    children: list[Tree] = []


class Fields(BaseModel):
    tree: Tree | None = None
    trees: dict[str, Tree] = {}
    anything: Any = None
    bare: list = []  # type: ignore[type-arg]
    items: tuple[Item, ...] = ()
    custom: Annotated[list[int], AfterValidator(set)] = []
    nested: list[Annotated[list[int], AfterValidator(set)]] = []
    decoded: Json[list[int]] = []
    cart: Cart = Cart()
    open: State = State()


def test_fields_whose_types_exclude_sets_are_not_searched_for_sets() -> None:
    searched = [name for name, info in Fields.model_fields.items() if field_may_hold_sets(info)]
    assert searched == [name for name in Fields.model_fields if name not in {"tree", "trees"}]
    assert not any(map(field_may_hold_sets, Tree.model_fields.values()))

"""The private attributes and cached properties of a state always match its fields.

This also holds after changes of the fields were undone, and after the whole state was replaced.
"""

from __future__ import annotations

import asyncio
import threading
from functools import cached_property
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr
from pydantic_ai import Agent, RunContext

from layercode_app import Call, Turn, VoiceAgent
from layercode_app.conversation.state import LiveState
from layercode_app.testing import open_call, scripted


class Item(BaseModel):
    name: str
    count: int = 1
    _shown: int = 0


class Order(BaseModel):
    """An order that has an index of its items, and a lock for tools that run in threads."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    items: list[Item] = []
    note: str = ""
    client: Any = Field(default=None, exclude=True)
    _by_name: dict[str, Item] = PrivateAttr(default_factory=dict)
    _attempts: int = 0
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    def model_post_init(self, context: Any) -> None:
        self._by_name = {item.name: item for item in self.items}

    @cached_property
    def total(self) -> int:
        return sum(item.count for item in self.items)

    def add(self, name: str) -> bool:
        self._attempts += 1
        if name in self._by_name:
            return False
        self._by_name[name] = Item(name=name)
        self.items.append(self._by_name[name])
        return True

    def known(self) -> dict[str, Item]:
        return self._by_name


class Outer(BaseModel):
    order: Order = Field(default_factory=Order)


def _fits(order: Order) -> bool:
    """Return whether the index contains the same objects as the order, not copies of them."""
    return [id(item) for item in order.known().values()] == [id(item) for item in order.items]


@pytest.mark.anyio
@pytest.mark.parametrize("by", ["timeout", "assignment"])
async def test_an_item_can_be_added_again(by: str) -> None:
    agent, added = Agent(deps_type=Turn[Order]), list[bool]()

    @agent.tool
    async def add(ctx: RunContext[Turn[Order]], slow: bool = False) -> str:
        added.append(ctx.deps.state.add("bread"))
        if slow:
            await asyncio.sleep(60)
        return "ok"

    @agent.tool
    async def reset(ctx: RunContext[Turn[Order]]) -> str:
        ctx.deps.state = Order()
        return "ok"

    steps = [Call("add", {"slow": True})] if by == "timeout" else [Call("add"), Call("reset")]
    voice = VoiceAgent("shop", agent, state=Order, tool_timeout=0.3)
    async with open_call(voice, model=scripted(*steps, Call("add"), "fine")) as call:
        await call.say("bread")
        assert added == [True, True]
        assert [item["name"] for item in (await call.state())["items"]] == ["bread"]


def test_only_what_depends_on_the_undone_fields_is_restored() -> None:
    state = LiveState.load(Order, {"items": [{"name": "bread"}, {"name": "milk"}]}, "c")
    order, bread, lock = state.model, state.model.items[0], state.model._lock
    state.begin("tool")
    assert (order.total, order.add("cake"), order.add("bread")) == (2, True, False)
    bread.count = 7
    state.cancel("tool")
    assert (order.items, list(order.known())) == ([Item(name="bread"), Item(name="milk")], ["bread", "milk"])
    assert _fits(order)
    assert (order._attempts, order._lock is lock, order.total) == (2, True, 2)
    known = order.known()
    state.begin("tool")
    order.note = "half"
    state.cancel("tool")
    assert (order.note, order.known() is known, _fits(order)) == ("", True, True)


def test_the_index_of_a_part_is_restored_with_it() -> None:
    state = LiveState.load(Outer, {"order": {"items": [{"name": "bread"}]}}, "c")
    state.begin("tool")
    state.model.order.add("cake")
    state.cancel("tool")
    assert [item.name for item in state.model.order.items] == ["bread"]
    assert _fits(state.model.order)


def test_a_state_with_a_lock_can_be_assigned() -> None:
    state, given = LiveState.load(Order, {}, "c"), Order(items=[Item(name="cake")], client=threading.Lock())
    lock = state.model._lock
    given._attempts = 3
    state.assign(given)
    order = state.model
    assert ([item.name for item in order.items], _fits(order), order._attempts) == (["cake"], True, 3)
    assert (order._lock is lock, order.client is given.client) == (True, True)
    order.add("bread")
    assert (len(given.items), list(given.known())) == (1, ["cake"])


def test_a_state_with_a_lock_in_one_of_its_parts_can_be_assigned() -> None:
    state, given = LiveState.load(Outer, {}, "c"), Outer(order=Order(items=[Item(name="cake")]))
    state.assign(given)
    assert (state.model.order is given.order, _fits(state.model.order)) == (False, True)
    assert [item.name for item in state.model.order.items] == ["cake"]


class Uncopied:
    """An index that compares by value, and cannot be copied."""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def __eq__(self, other: object) -> bool:
        raise ValueError("compare the items")

    def __hash__(self) -> int:
        return 0

    def __deepcopy__(self, memo: Any) -> Any:
        raise TypeError("it cannot be copied")


class Odd(BaseModel):
    names: list[str] = []
    _index: Any = None

    def model_post_init(self, context: Any) -> None:
        self._index = Uncopied(list(self.names))


def test_an_index_that_can_neither_be_compared_nor_copied_is_restored() -> None:
    state = LiveState.load(Odd, {"names": ["a"]}, "c")
    state.begin("tool")
    state.model.names.append("b")
    state.model._index.names.append("b")
    state.cancel("tool")
    assert (state.model.names, state.model._index.names) == (["a"], ["a"])

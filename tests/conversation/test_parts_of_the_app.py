"""Undoing or replacing the state of one call never changes the app's own objects, which all callers share."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, field_validator
from pydantic_ai import Agent, RunContext

from layercode_app import Call, Turn, VoiceAgent
from layercode_app.conversation.state import LiveState
from layercode_app.testing import open_call, scripted


class Address(BaseModel):
    model_config = ConfigDict(frozen=True)
    street: str = ""


class Item(BaseModel):
    name: str = ""
    sizes: list[str] = []


class Hashable(Item):
    def __hash__(self) -> int:
        return hash(self.name)


@dataclass
class Cart:
    items: list[Item] = field(default_factory=list)


class State(BaseModel):
    address: Address = Address()
    hashable: Hashable = Hashable()
    item: Item = Item()
    items: list[Item] = []
    by_name: dict[str, Item] = {}
    tags: set[str] = set()
    cart: Cart = Cart([Item(name="bread"), Item(name="cake")])
    recent: deque[Item] = deque([Item(name="bread"), Item(name="cake")])


@cache
def catalogue() -> dict[str, Item]:
    return {name: Item(name=name, sizes=["small"]) for name in ("bread", "cake")}


@pytest.mark.anyio
async def test_no_caller_gets_the_address_of_another_one() -> None:
    agent = Agent(deps_type=Turn[State])

    @agent.tool
    async def start_over(ctx: RunContext[Turn[State]], street: str) -> str:
        ctx.deps.state = State(address=Address(street=street))
        return "ok"

    voice = VoiceAgent("shop", agent, state=State)
    async with open_call(voice, model=scripted(Call("start_over", {"street": "7 Secret Lane"}), "fine")) as call:
        await call.say("I live at 7 Secret Lane")
        assert (await call.state())["address"] == {"street": "7 Secret Lane"}
    async with open_call(voice, model=scripted("fine")) as call:
        await call.say("hello")
        assert (await call.state())["address"] == {"street": ""}


def test_undoing_changes_no_default_of_the_class() -> None:
    state = LiveState.load(State, {}, "c")
    state.mark_saved(state.changes())
    state.saved_at = 0.0
    state.take_over({"address": {"street": "7 Secret Lane"}, "hashable": {"name": "cake", "sizes": ["big"]}}, 1.0)
    assert (state.model.address.street, state.model.hashable.name) == ("7 Secret Lane", "cake")
    assert (State().address.street, State().hashable) == ("", Hashable())


@pytest.mark.parametrize("by", ["cancel", "assign", "take over"])
def test_a_part_that_a_tool_has_put_into_the_state_stays_as_it_is(by: str) -> None:
    products = {"bread": Item(name="bread", sizes=["small"]), "cake": Item(name="cake", sizes=["big"])}
    items, tags = [products["bread"]], {"sweet"}
    state = LiveState.load(State, {}, "c")

    def choose() -> None:
        state.model.item, state.model.items, state.model.by_name = products["cake"], items, products
        state.model.tags, state.model.item.sizes = tags, products["cake"].sizes

    if by == "cancel":
        state.begin("tool")
        choose()
        state.cancel("tool")
    else:
        choose()
        state.mark_saved(state.changes())
        state.saved_at = 0.0
        other = State(item=Item(name="other"))
        state.assign(other) if by == "assign" else state.take_over(other.model_dump(mode="json"), 1.0)
    assert state.model == State(item=Item(name="other")) if by != "cancel" else state.model == State()
    assert products == {"bread": Item(name="bread", sizes=["small"]), "cake": Item(name="cake", sizes=["big"])}
    assert (items, tags) == ([products["bread"]], {"sweet"})


def test_a_part_that_a_validator_looked_up_stays_as_it_is() -> None:
    class Chosen(BaseModel):
        item: Item = Item()

        @field_validator("item", mode="before")
        @classmethod
        def _look_up(cls, value: Any) -> Any:
            return catalogue()[value["name"]]

    state = LiveState.load(Chosen, {"item": catalogue()["bread"].model_dump()}, "c")
    state.take_over({"item": catalogue()["cake"].model_dump()}, 1.0)
    assert state.model.item.name == "cake"
    assert [item.name for item in catalogue().values()] == ["bread", "cake"]


def test_a_validator_that_fails_later_does_not_prevent_the_undoing() -> None:
    fails = False

    class Checked(BaseModel):
        a: list[int] = []
        b: int = 0

        @field_validator("b")
        @classmethod
        def _check(cls, value: int) -> int:
            if fails and not value:
                raise RuntimeError("no connection")
            return value

    state = LiveState.load(Checked, {"b": 0}, "c")
    state.model.b = 1
    state.begin("tool")
    state.model.a.append(1)
    fails = True
    state.cancel("tool")
    assert state.model == Checked.model_construct(a=[], b=1)


@pytest.mark.parametrize("place", ["cart", "recent"])
def test_a_part_of_a_dataclass_or_deque_is_not_changed_with_another_field(place: str) -> None:
    state = LiveState.load(State, {}, "c")
    items: Any = state.model.cart.items if place == "cart" else state.model.recent
    state.model.item = items[0]
    state.begin("tool")
    state.model.item = items[1]
    state.cancel("tool")
    assert [item.name for item in items] == ["bread", "cake"]
    assert state.model.item.name == "bread"


def test_a_part_that_a_tool_put_into_a_dataclass_is_not_changed_with_its_own_field() -> None:
    state = LiveState.load(State, {"item": {"name": "milk"}}, "c")
    state.begin("slow")
    state.model.item.name = "soap"
    state.begin("quick")
    state.model.cart.items.append(state.model.item)
    state.end("quick")
    state.cancel("slow")
    assert state.model.item.name == "milk"
    assert [item.name for item in state.model.cart.items] == ["bread", "cake", "soap"]


def test_a_part_that_the_app_took_from_the_state_stays_as_it_is_when_the_state_is_replaced() -> None:
    state = LiveState.load(State, {"items": [{"name": "bread"}]}, "c")
    placed = state.model.items
    state.assign(State())
    assert (state.model.items, placed) == ([], [Item(name="bread")])


def test_a_model_that_is_assigned_stays_as_it_is() -> None:
    preset, state = State(items=[Item(name="bread")]), LiveState.load(State, {}, "c")
    state.assign(preset)
    state.model.items[0].name = "changed"
    assert preset.items[0].name == "bread"

"""A value of the wrong type in the state fails one turn and is reset. It must not make every later turn fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_ai import Agent, RunContext

from layercode_app import Call, Turn, VoiceAgent
from layercode_app.testing import open_call, scripted
from layercode_app.testing.call import CallError

pytestmark = pytest.mark.anyio


class Item(BaseModel):
    count: int = 0


class State(BaseModel):
    good: int = 0
    number: int = 3
    numbers: list[int] = [1]
    size: Literal["small", "large"] = "small"
    by_name: dict[str, int] = {}
    item: Item = Item()
    named: int = Field(0, alias="nickname")


class SavedByAlias(State):
    model_config = ConfigDict(serialize_by_alias=True)


class Together(State):
    """Two fields that are wrong only together."""

    @model_validator(mode="after")
    def _check(self) -> Together:
        if self.number > 5 and self.size == "small":
            raise ValueError("too many")
        return self


def _named(state: Any) -> None:
    state.named = "many"


WRONG: dict[str, Callable[[Any], object]] = {
    "number": lambda state: setattr(state, "number", None),
    "numbers": lambda state: state.numbers.append("two"),
    "size": lambda state: setattr(state, "size", "huge"),
    "by_name": lambda state: state.by_name.update(ada="one"),
    "item": lambda state: setattr(state.item, "count", 1.5),
    "named": _named,
}


def _agent(kind: type[State], change: Callable[[Any], object]) -> VoiceAgent[Any, Any]:
    """An agent that makes a valid change with each message. If it hears "wrong", it makes the wrong `change` too."""
    voice = VoiceAgent("shop", state=kind)

    @voice.on_message
    async def answer(turn: Turn[Any]) -> str:
        turn.state.good += 1
        if turn.text == "wrong":
            change(turn.state)
        return f"{turn.state.number} {turn.state.size}"

    @voice.on_data
    async def receive(turn: Turn[Any], data: Any) -> None:
        turn.state.good += 1
        change(turn.state)

    return voice


@pytest.mark.parametrize("kind", [State, SavedByAlias])
@pytest.mark.parametrize("field", WRONG)
async def test_a_wrong_value_fails_one_turn_and_is_reset(kind: type[State], field: str) -> None:
    async with open_call(_agent(kind, WRONG[field])) as call:
        await call.say("hello")
        before = await call.state()
        wrong = await call.say("wrong")
        assert wrong.error is not None
        assert field.removesuffix("d") in str(wrong.error)
        after = await call.say("hello")
        assert (after.error, after.spoken) == (None, "3 small")
        assert await call.state() == before | {"good": 3}


@pytest.mark.parametrize("field", WRONG)
async def test_a_data_event_with_a_wrong_value_fails_and_is_reset(field: str) -> None:
    async with open_call(_agent(State, WRONG[field])) as call:
        await call.say("hello")
        before = await call.state()
        with pytest.raises(CallError):
            await call.send_data({})
        assert (await call.say("hello")).error is None
        assert await call.state() == before | {"good": 3}


async def test_values_that_are_wrong_together_are_all_reset() -> None:
    async with open_call(_agent(Together, lambda state: setattr(state, "number", 9))) as call:
        await call.say("hello")
        before = await call.state()
        wrong = await call.say("wrong")
        assert "too many" in str(wrong.error)
        assert (await call.say("hello")).error is None
        assert await call.state() == before | {"good": 2}


class Priced(State):
    """A model whose validator raises an error that Pydantic does not expect."""

    code: str = "a"

    @model_validator(mode="after")
    def _check(self) -> Priced:
        assert {"a": 1}[self.code]
        return self


async def test_a_validator_that_fails_in_another_way_fails_one_turn_too() -> None:
    async with open_call(_agent(Priced, lambda state: setattr(state, "code", "b"))) as call:
        await call.say("hello")
        wrong = await call.say("wrong")
        assert "KeyError: 'b'" in str(wrong.error)
        assert (await call.say("hello")).error is None


async def test_the_checkpoint_of_another_tool_does_not_save_a_wrong_value() -> None:
    changed, saved = asyncio.Event(), asyncio.Event()
    agent = Agent(deps_type=Turn[State])

    @agent.tool
    async def wrong(ctx: RunContext[Turn[State]]) -> str:
        ctx.deps.state.number = None  # type: ignore[assignment]
        changed.set()
        await saved.wait()
        return "wrong"

    @agent.tool
    async def good(ctx: RunContext[Turn[State]]) -> str:
        await changed.wait()
        ctx.deps.state.good += 1
        return "good"

    voice = VoiceAgent("shop", agent, state=State)
    async with open_call(voice, model=scripted([Call("wrong"), Call("good")], "fine", "fine")) as call:
        speaking = asyncio.create_task(call.say("go"))
        async with asyncio.timeout(5):
            while not (await call.state()).get("good"):
                await asyncio.sleep(0.01)
        assert (await call.state())["number"] == 3
        saved.set()
        assert (await speaking).error is not None
        assert (await call.say("hello")).error is None

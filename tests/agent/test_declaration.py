"""Wrong arguments of `VoiceAgent` and wrong names of its decorators raise an error at once.

The error says what was expected.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
from pydantic import BaseModel, Field, RootModel, model_validator
from pydantic_ai import Agent

from layercode_app import DeveloperError, HookError, Turn, VoiceAgent


class Order(BaseModel):
    paid: bool


class Filled(BaseModel):
    paid: bool

    @model_validator(mode="before")
    @classmethod
    def fill(cls, values: Any) -> Any:
        return {"paid": False} | values


def _without_call() -> str:
    raise RuntimeError("only in a call")


class InACall(BaseModel):
    made: str = Field(default_factory=_without_call)


async def speak(output: object) -> str:
    return ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"confirm": ["pay"]}, "VoiceAgent confirm=['pay']: expected a dictionary, such as confirm={'pay': 'Shall I"),
        ({"tools": "pay"}, "VoiceAgent tools='pay': expected a dictionary, such as tools={'pay': 'finish'}."),
        ({"model_settings": "x"}, "VoiceAgent model_settings='x': expected a dictionary, such as model_settings={"),
        ({"speak": "x"}, "VoiceAgent speak='x': expected a plain function of the output"),
        ({"speak": speak}, "VoiceAgent speak=speak: expected a plain function of the output"),
        ({"speak": lambda: ""}, "speak: "),
        ({"history": "yes"}, "VoiceAgent history='yes': expected True or False."),
        ({"notices": "no"}, "VoiceAgent notices='no': expected True or False."),
        (
            {"state": Order},
            "VoiceAgent state=Order: a new conversation begins without values, but paid: Field required.",
        ),
        (
            {"state": RootModel[dict[str, int]]},
            "VoiceAgent state=RootModel[dict[str, int]]: it is a RootModel, which has no fields",
        ),
        ({"greting": "Hi"}, "VoiceAgent('shop') has no argument greting=. Did you mean greeting=? It has: apology, "),
        ({"colour": "red"}, "VoiceAgent('shop') has no argument colour=. It has: apology, "),
    ],
    ids=lambda given: given if isinstance(given, str) else next(iter(given)),
)
def test_a_wrong_argument_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DeveloperError) as raised:
        VoiceAgent("shop", Agent(), **options)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize("state", [Filled, InACall])
def test_a_state_that_may_be_created_without_values_is_accepted(state: Any) -> None:
    assert VoiceAgent("shop", Agent(), state=state).state_type is state


def test_metadata_may_need_values() -> None:
    assert VoiceAgent("shop", Agent(), metadata=Order).metadata_type is Order


HOOKS = "on_authorize, on_data, on_event, on_message, on_session_end, on_session_start, on_session_update"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("on_sesion_start", f"VoiceAgent has no hook on_sesion_start. Did you mean on_session_start? It has: {HOOKS}."),
        ("on_start", f"VoiceAgent has no hook on_start. It has: {HOOKS}."),
        ("offlin", "VoiceAgent has no offlin. Did you mean offline?"),
        ("while_thinkin", "VoiceAgent has no while_thinkin. Did you mean while_thinking?"),
        ("tsk", "VoiceAgent has no tsk. Did you mean task?"),
        ("colour", "'VoiceAgent' object has no attribute 'colour'"),
    ],
)
def test_a_hook_that_does_not_exist_is_named_with_the_others(name: str, message: str) -> None:
    voice = VoiceAgent("shop", Agent())
    assert not hasattr(voice, name)
    with pytest.raises(AttributeError) as raised:
        getattr(voice, name)
    assert str(raised.value) == message


def test_an_error_within_a_property_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    voice = VoiceAgent("shop", Agent())
    monkeypatch.setattr(voice, "agent", object())
    with pytest.raises(AttributeError, match="'object' object has no attribute 'toolsets'"):
        _ = voice.toolsets


@pytest.mark.parametrize("name", ["on_message", "while_thinking", *HOOKS.split(", "), "task", "offline"])
def test_a_decorator_with_parentheses_says_how_to_write_it(name: str) -> None:
    with pytest.raises(HookError, match=f"Write `@agent.{name}` without parentheses."):
        getattr(VoiceAgent("shop", Agent()), name)()


def test_a_decorator_returns_the_function_and_takes_it_by_name() -> None:
    voice = VoiceAgent("shop")

    async def reply(turn: Turn) -> str:
        return turn.text

    assert voice.on_message(hook=reply) is reply
    assert copy.copy(voice).hooks == {"message": [reply]}

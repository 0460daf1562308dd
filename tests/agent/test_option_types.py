"""Every option of the public declarations refuses a value of the wrong type, and the error names the option."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from pydantic_ai import Agent

from layercode_app import (
    Confirm,
    DeveloperError,
    LayerCode,
    Speakable,
    Stage,
    Summary,
    ToolPolicy,
    VoiceAgent,
    Voicemail,
    prompt_injection,
    stay_on_topic,
)

DECLARATIONS: dict[Any, dict[str, Any]] = {
    VoiceAgent: {"name": "shop", "agent": Agent()},
    Confirm: {},
    ToolPolicy: {},
    Speakable: {},
    Voicemail: {"message": "Call us back."},
    Stage: {"name": "order"},
    Summary: {"text": "A cake was ordered."},
    prompt_injection: {},
    stay_on_topic: {"topics": ["bread"]},
    LayerCode: {},
}
"""The public declarations, each with the arguments that it needs."""
LEFT_OUT = {"agent", "agents", "unknown", "offline_without_key", "failed", "metrics", "runner"}
"""Parameters that this test leaves out.

Other code checks their types, or they are options of `LayerCode` that only this package's commands and tests use.
"""
NUMBERS = {"filler_after", "filler_every", "hedge_after", "judge_sample"} | {
    f"{name}_timeout" for name in ("turn", "tool", "first_token", "piece")
}


OPTIONS = [
    pytest.param(declaration, option, id=f"{declaration.__name__}-{option}")
    for declaration in DECLARATIONS
    for option in inspect.signature(declaration).parameters
    if option not in LEFT_OUT
]


@pytest.mark.parametrize(("declaration", "option"), OPTIONS)
@pytest.mark.parametrize("value", [object(), 3, [3], {"pay": 3}, b"words"], ids=["object", "3", "[3]", "dict", "bytes"])
def test_a_value_of_the_wrong_type_is_refused(declaration: Any, option: str, value: object) -> None:
    if value == 3 and option in NUMBERS:
        value = "3"
    if value == {"pay": 3} and option == "model_settings":
        value = {3}
    agents = (VoiceAgent("shop", Agent()),) if declaration is LayerCode else ()
    with pytest.raises(DeveloperError) as raised:
        declaration(*agents, **DECLARATIONS[declaration] | {option: value})
    named = "voicemail" if option == "message" else option
    assert named in str(raised.value).lower() or f"{declaration.__name__}(" in str(raised.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backchannels": "yes"}, "VoiceAgent backchannels='yes': expected True, languages (en, "),
        ({"greeting_waits": "yes"}, "VoiceAgent greeting_waits='yes': expected True, False, or a plain function"),
        ({"hedge_model": ""}, "VoiceAgent hedge_model='': expected a model, such as 'openai:gpt-5-mini', or None."),
        ({"voicemail": 3}, "VoiceAgent voicemail=3: expected a text, or a function of the turn."),
        ({"judges": 3}, "VoiceAgent judges=3: expected names and questions, such as"),
    ],
    ids=lambda given: given if isinstance(given, str) else next(iter(given)),
)
def test_the_error_says_what_was_expected(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DeveloperError) as raised:
        VoiceAgent("shop", Agent(), **options)
    assert str(raised.value).startswith(message)


def test_a_greeting_may_wait_for_a_function_of_the_turn() -> None:
    assert callable(VoiceAgent("shop", Agent(), greeting_waits=lambda turn: turn.outbound).greeting_waits)

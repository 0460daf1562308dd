"""Check the types of options of `VoiceAgent`, of its parts such as `Voicemail`, and of the ready-made guards."""

from __future__ import annotations

import inspect

from ..blank import is_blank
from ..exceptions import DeveloperError
from .hooks import check_parameters


def check_type(option: str, value: object, kinds: type | tuple[type, ...], expected: str) -> None:
    """Raise DeveloperError unless the value is an instance of `kinds`. The error says what was `expected`."""
    if not isinstance(value, kinds):
        raise DeveloperError(f"{option}={value!r}: expected {expected}.")


def check_text(option: str, value: object) -> None:
    """Raise DeveloperError unless the value is a text with something to say."""
    if not isinstance(value, str) or is_blank(value):
        raise DeveloperError(f"{option}={value!r}: expected a text to say.")


def check_model(option: str, value: object) -> None:
    """Raise DeveloperError unless the value is the name of a model, a PydanticAI model, or None."""
    named = isinstance(value, str) and not is_blank(value)
    if value is not None and not named and not hasattr(value, "request"):
        raise DeveloperError(f"{option}={value!r}: expected a model, such as 'openai:gpt-5-mini', or None.")


def check_waits(option: str, value: object) -> None:
    """Raise DeveloperError or HookError unless the value is True, False, or a plain function of the turn."""
    if isinstance(value, bool):
        return
    if not callable(value) or inspect.iscoroutinefunction(value):
        raise DeveloperError(
            f"{option}={value!r}: expected True, False, or a plain function of the turn, such as lambda turn: turn.outbound."
        )
    check_parameters(option, value, ("turn",))

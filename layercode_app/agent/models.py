"""Which model answers: `--model`, else the agent's own, else DEFAULT_MODEL, else the offline script.

Behind whichever it is stand FALLBACK_MODELS. A server that is asked for a model which there is not, or for a fallback
that cannot be made, does not start; only while the model's key is missing do agents answer offline.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from loguru import logger

from ..exceptions import ConfigurationError
from .offline import MODEL_NAME, offline_model

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from .voice_agent import VoiceAgent

_VARIABLE = re.compile(r"`[A-Z][A-Z0-9_]+`")
"""What PydanticAI names when a provider's key, or where its service is, was not given."""


class _MissingKeyError(ConfigurationError):
    """The model is known, and its key is not set."""


def choose_model(
    voice: VoiceAgent[Any, Any], *, asked: str | None, default: str | None, fallbacks: Sequence[str] = ()
) -> None:
    """Give the agent the model it is to use. Raises ConfigurationError when one of those named cannot be used."""
    if voice.agent is None:
        return
    if asked == MODEL_NAME:
        voice.use_model(offline_model(voice.script))
    elif asked is not None:
        voice.use_model(_with_fallbacks(named_model(asked, "--model"), fallbacks))
    elif voice.agent.model is None:
        voice.use_model(_or_offline(voice, default or MODEL_NAME, "DEFAULT_MODEL", fallbacks))
    elif isinstance(voice.agent.model, str):
        voice.use_model(_or_offline(voice, voice.agent.model, f"The model of agent {voice.name!r},", fallbacks))
    elif fallbacks:
        voice.use_model(_with_fallbacks(voice.agent.model, fallbacks))


def _or_offline(voice: VoiceAgent[Any, Any], name: str, setting: str, fallbacks: Sequence[str]) -> Model:
    if name == MODEL_NAME:
        return offline_model(voice.script)
    try:
        model = named_model(name, setting)
    except _MissingKeyError as error:
        _warn_once(str(error))
        return offline_model(voice.script)
    return _with_fallbacks(model, fallbacks)


@cache
def _warn_once(reason: str) -> None:
    """A server loads many agents, and one missing key concerns them all."""
    logger.warning("{} Agents that are to use it answer offline, from their scripts.", reason)


def named_model(name: str, setting: str) -> Model:
    """The model of a name. Raises ConfigurationError naming the setting that asks for it, and what is missing."""
    from pydantic_ai.exceptions import UserError
    from pydantic_ai.models import infer_model

    try:
        return infer_model(name)
    except (UserError, ImportError) as error:
        missing = isinstance(error, UserError) and _VARIABLE.search(str(error))
        kind = _MissingKeyError if missing else ConfigurationError
        raise kind(f"{setting} {name}: {_said(str(error))}") from error


def _said(message: str) -> str:
    """What is wrong, with the nearest name where there is one, and what a name looks like where there is not."""
    reason, _, more = message.partition(". ")
    if more.startswith("Did you mean"):
        return message
    expected = "; expected PROVIDER:MODEL, such as openai:gpt-5-mini" if reason.startswith("Unknown model") else ""
    return f"{reason.rstrip('.')}{expected}."


def _with_fallbacks(model: Model, fallbacks: Sequence[str]) -> Model:
    """The model, and those asked when it fails; one that brings fallbacks of its own is left as it is."""
    if not fallbacks or falls_back(model):
        return model
    from pydantic_ai.models.fallback import FallbackModel

    return FallbackModel(model, *(named_model(name, "FALLBACK_MODELS") for name in fallbacks))


def falls_back(model: Model) -> bool:
    """Whether the model is a list of fallbacks, perhaps in a wrapper."""
    from pydantic_ai.models.fallback import FallbackModel
    from pydantic_ai.models.wrapper import WrapperModel

    while isinstance(model, WrapperModel):
        model = model.wrapped
    return isinstance(model, FallbackModel)

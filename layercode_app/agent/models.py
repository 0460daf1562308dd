"""Choose an agent's model: `--model`, else the agent's own, else DEFAULT_MODEL, else the offline script.

FALLBACK_MODELS are added to the chosen model. A server does not start if a named model or fallback is unknown or cannot
be created. If only the key of the agent's own model or of DEFAULT_MODEL is missing, the agent answers offline.
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
"""Matches the variable in PydanticAI's error when a provider's key or base URL is missing."""


class _MissingKeyError(ConfigurationError):
    """The model is known, but its key is not set."""


def choose_model(
    voice: VoiceAgent[Any, Any], *, asked: str | None, default: str | None, fallbacks: Sequence[str] = ()
) -> None:
    """Set the model that the agent uses. Raises ConfigurationError if a named model cannot be used."""
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
    """Log a warning once: a server loads many agents, and a missing key affects all of them."""
    logger.warning("{} Agents that are to use it answer offline, from their scripts.", reason)


def named_model(name: str, setting: str) -> Model:
    """Return the model of that name. Raises ConfigurationError, which names the setting and what is missing."""
    from pydantic_ai.exceptions import UserError
    from pydantic_ai.models import infer_model

    try:
        return infer_model(name)
    except (UserError, ImportError) as error:
        missing = isinstance(error, UserError) and _VARIABLE.search(str(error))
        kind = _MissingKeyError if missing else ConfigurationError
        raise kind(f"{setting} {name}: {_said(str(error))}") from error


def _said(message: str) -> str:
    """Shorten PydanticAI's message: keep its suggested name, or else tell what format a model's name has."""
    reason, _, more = message.partition(". ")
    if more.startswith("Did you mean"):
        return message
    expected = "; expected PROVIDER:MODEL, such as openai:gpt-5-mini" if reason.startswith("Unknown model") else ""
    return f"{reason.rstrip('.')}{expected}."


def _with_fallbacks(model: Model, fallbacks: Sequence[str]) -> Model:
    """Return the model with its fallbacks. A model that already has its own fallbacks is returned unchanged."""
    if not fallbacks or falls_back(model):
        return model
    from pydantic_ai.models.fallback import FallbackModel

    return FallbackModel(model, *(named_model(name, "FALLBACK_MODELS") for name in fallbacks))


def falls_back(model: Model) -> bool:
    """Return whether the model is a FallbackModel, possibly in a wrapper."""
    from pydantic_ai.models.fallback import FallbackModel
    from pydantic_ai.models.wrapper import WrapperModel

    while isinstance(model, WrapperModel):
        model = model.wrapped
    return isinstance(model, FallbackModel)

"""Which model answers: `--model`, else the agent's own, else DEFAULT_MODEL, else the offline script."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from loguru import logger

from ..exceptions import ConfigurationError
from .offline import MODEL_NAME, offline_model

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from .voice_agent import VoiceAgent


def choose_model(
    voice: VoiceAgent[Any, Any], *, asked: str | None, default: str | None, fallbacks: Sequence[str] = ()
) -> None:
    """Give the agent the model it is to use. Raises ConfigurationError when the one asked for cannot be used."""
    if voice.agent is None:
        return
    if asked == MODEL_NAME:
        voice.use_model(offline_model(voice.script))
    elif asked is not None:
        voice.use_model(_with_fallbacks(named_model(asked, "--model"), fallbacks))
    elif voice.agent.model is None:
        voice.use_model(_default(voice, default, fallbacks))


def _default(voice: VoiceAgent[Any, Any], default: str | None, fallbacks: Sequence[str]) -> Model:
    if default == MODEL_NAME or default is None:
        return offline_model(voice.script)
    try:
        return _with_fallbacks(named_model(default, "DEFAULT_MODEL"), fallbacks)
    except ConfigurationError as error:
        _warn_once(str(error))
        return offline_model(voice.script)


@cache
def _warn_once(reason: str) -> None:
    """A server loads many agents, and one missing key concerns them all."""
    logger.warning("{} Agents that name no model of their own answer offline, from their scripts.", reason)


def named_model(name: str, setting: str) -> Model:
    """The model of a name. Raises ConfigurationError naming the setting that asks for it, and what is missing."""
    from pydantic_ai.exceptions import UserError
    from pydantic_ai.models import infer_model

    try:
        return infer_model(name)
    except (UserError, ImportError) as error:
        raise ConfigurationError(f"{setting} {name}: {str(error).split('. ')[0].rstrip('.')}.") from error


def _with_fallbacks(model: Model, fallbacks: Sequence[str]) -> Model:
    """The provider's own retries come before a fallback and take seconds, so they are turned off."""
    if not fallbacks:
        return model
    from pydantic_ai.models.fallback import FallbackModel

    return FallbackModel(model, *(named_model(name, "FALLBACK_MODELS") for name in fallbacks))

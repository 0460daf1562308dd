"""Choose an agent's model: `--model`, else the agent's own, else DEFAULT_MODEL, else the offline script.

An agent with a capability such as PydanticAI's SelectModel selects its model itself, unless `--model` is given.
FALLBACK_MODELS are added to the chosen model. A server does not start if a named model or fallback is unknown, has no
key or cannot be created. With `offline_without_key`, as in development, an agent without a key answers offline instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any

from loguru import logger

from ..exceptions import ConfigurationError
from ..settings import Settings
from ..settings.environment import environment
from ..settings.provider_keys import PROVIDER_KEYS
from .offline import MODEL_NAME, offline_model

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from .voice_agent import VoiceAgent

_VARIABLE = re.compile(r"`([A-Z][A-Z0-9_]+)`")
"""Matches the environment variables in PydanticAI's error when a provider's key or base URL is missing."""
_OPENAI, _ADMIN = PROVIDER_KEYS["openai"], "OPENAI_ADMIN_KEY"
_shared: ContextVar[dict[str, Any]] = ContextVar("shared_providers")
"""The providers created so far, by name. A provider reads its key when it is created."""
PRODUCTION = "production"
_NO_MODEL = (
    "With APP_ENV=production this needs an explicit choice: set DEFAULT_MODEL and its provider's key, or serve the "
    "scripts with --model offline."
)
_SET, _OFFLINE = "Set it in .env or in the environment", ", or answer from the agents' scripts with --model offline"


class MissingKeyError(ConfigurationError):
    """The API key of a known model is not set. `reason` is the message without the advice on how to set the key.

    `offline` tells whether the agents' scripts can answer in place of this model. If not, the advice does not mention
    the scripts.
    """

    def __init__(self, reason: str, *, offline: bool = True) -> None:
        super().__init__(f"{reason} {_SET}{_OFFLINE if offline else ''}.")
        self.reason = reason


def choose_model(
    voice: VoiceAgent[Any, Any],
    settings: Settings | None = None,
    *,
    asked: str | None = None,
    offline_without_key: bool = False,
) -> None:
    """Set the model that the agent uses, and the models for summaries, for judges and for repeats of slow requests.

    `asked` is the value of `--model`. Without `settings`, only `asked` and the agent's own models count. Raises
    ConfigurationError if a named model cannot be used.

    With `offline_without_key`, an agent whose model has no key answers from its script, and a fallback without a key is
    left out; a warning is logged. The model of `asked` always needs its key.
    """
    given = settings or Settings()
    if asked != MODEL_NAME:
        _choose_judge_model(voice, given.judge_model, skip=offline_without_key)
    if voice.agent is None:
        return
    own = own_model(voice.agent)
    fallbacks = given.fallback_models
    if asked == MODEL_NAME:
        voice.use_model(offline_model(voice.script))
    elif asked is not None:
        model = named_model(asked, "--model")
        voice.use_model(_with_fallbacks(model, fallbacks, skip=offline_without_key))
    elif selects_model(voice.agent):
        _check_selecting(voice, fallbacks, offline_without_key=offline_without_key)
    elif own is None or isinstance(own, str):
        setting = f"The model of agent {voice.name!r}," if own else "DEFAULT_MODEL"
        name = own or given.default_model or MODEL_NAME
        if not (own or given.default_model or offline_without_key) and given.app_env == PRODUCTION:
            raise ConfigurationError(
                f"Agent {voice.name!r} has no model: its callers would hear the offline script. {_NO_MODEL}"
            )
        model = _or_offline(voice, name, setting, offline_without_key=offline_without_key)
        voice.use_model(_with_fallbacks(model, fallbacks, skip=offline_without_key))
    elif fallbacks:
        voice.use_model(_with_fallbacks(own, fallbacks, skip=offline_without_key))
    if asked != MODEL_NAME:
        _choose_second_model(voice, given.hedge_model, skip=offline_without_key)
        _choose_summary_model(voice, given.summary_model, skip=offline_without_key)


def _choose_summary_model(voice: VoiceAgent[Any, Any], name: str | None, *, skip: bool) -> None:
    """Set the model that writes summaries: the agent's own `summary`, or else `name` (from LAYERCODE_SUMMARY_MODEL)."""
    setting = "LAYERCODE_SUMMARY_MODEL"
    if isinstance(voice.summary, str):
        setting, name = f"The summary model of agent {voice.name!r},", voice.summary
    if voice.summary or voice.remember:
        rest = "Summaries are written by the model that answers."
        voice.summary_model = _named_or_none(name, setting, rest, skip=skip)


def _choose_judge_model(voice: VoiceAgent[Any, Any], name: str | None, *, skip: bool) -> None:
    """Set the model of the agent's judges to `name`, the value of the setting LAYERCODE_JUDGE_MODEL."""
    if voice.judges.questions:
        rest = "Calls are judged by the model that answers."
        voice.judge_model = _named_or_none(name, "LAYERCODE_JUDGE_MODEL", rest, skip=skip)


def _named_or_none(name: str | None, setting: str, rest: str, *, skip: bool) -> Model | None:
    """Return the model of this name, or None if there is no name.

    With `skip`, also return None if the key is missing, and log a warning that ends with the sentence `rest`.
    """
    try:
        return None if name is None else named_model(name, setting)
    except MissingKeyError as error:
        if not skip:
            raise
        _warn_once(f"{error.reason} {rest}")
        return None


def _choose_second_model(voice: VoiceAgent[Any, Any], name: str | None, *, skip: bool) -> None:
    """Set the model for repeats of slow requests: the agent's own `hedge_model`, or else `name`.

    `name` is the value of LAYERCODE_HEDGE_MODEL.
    """
    setting = "LAYERCODE_HEDGE_MODEL"
    if isinstance(voice.hedge_model, str):
        setting, name = f"The hedge_model of agent {voice.name!r},", voice.hedge_model
    elif voice.hedge_model is not None:
        return
    voice.second_model = _named_or_none(name, setting, "A slow request is sent again to the same model.", skip=skip)


def _or_offline(voice: VoiceAgent[Any, Any], name: str, setting: str, *, offline_without_key: bool) -> Model:
    if name == MODEL_NAME:
        return offline_model(voice.script)
    try:
        return named_model(name, setting)
    except MissingKeyError as error:
        if not offline_without_key:
            raise
        _warn_once(f"{error.reason} Agents that use this model answer offline, from their scripts.")
        return offline_model(voice.script)


def own_model(agent: Any) -> Model | str | None:
    """Return the agent's own model, or None. If the model was created without its key, return its name."""
    own: Model | str | None = given_model(agent)
    return getattr(own, "asked", own)


def given_model(agent: Any) -> Any:
    """Return the model that a capability gives the agent. Without such a capability, return the agent's `model`.

    The result is a Model, the name of a model, or None.
    """
    given = None if selects_model(agent) else _model_of_capabilities(agent)
    return getattr(agent, "model", None) if given is None else given


def selects_model(agent: Any) -> bool:
    """Return whether a capability of the agent, such as SelectModel, selects the model of each request."""
    return callable(given := _model_of_capabilities(agent)) and not hasattr(given, "request_stream")


def _model_of_capabilities(agent: Any) -> Any:
    """Return the model that a capability gives the agent: a Model, its name, or a function that selects it; else None."""
    capability = getattr(agent, "root_capability", None)
    return None if capability is None else capability.get_model()


def _check_selecting(voice: VoiceAgent[Any, Any], fallbacks: Sequence[str], *, offline_without_key: bool) -> None:
    """Check the model that the agent was created with, because a capability that selects models may select this one.

    If FALLBACK_MODELS are set, log a warning that they are not added to the models of this agent.
    """
    own = own_model(voice.agent)
    if isinstance(own, str):
        _or_offline(voice, own, f"The model of agent {voice.name!r},", offline_without_key=offline_without_key)
    if fallbacks:
        _warn_once(
            f"Agent {voice.name!r} selects its model itself, so FALLBACK_MODELS are not added. "
            "To add fallbacks, give the agent PydanticAI's capability ModelFallback."
        )


@cache
def _warn_once(warning: str) -> None:
    """Log a warning, but not the same text twice: one missing key affects every agent that a server loads."""
    logger.warning("{}", warning)


def named_model(name: str, setting: str, *, offline: bool = True) -> Model:
    """Return the model of this name. Raises ConfigurationError, which names the setting and says what is missing.

    `offline` tells whether the agents' scripts can answer in place of this model.
    """
    from pydantic_ai.models import infer_model

    shared = _shared.get({})
    provider = name.partition(":")[0]
    try:
        refuse_empty_key(name)
        if provider in shared:
            return infer_model(name, provider_factory=lambda _: shared[provider])
        model = infer_model(name)
    except Exception as error:  # a provider's library raises its own error for a variable that is set but empty
        if missing := missing_variables(error):
            reason = f"{setting} {name}: {' or '.join(dict.fromkeys(missing))} is not set."
            raise MissingKeyError(reason, offline=offline) from error
        raise ConfigurationError(f"{setting} {name}: {_said(str(error))}") from error
    if (found := getattr(model, "provider", None)) is not None:
        shared[provider] = found
    return model


@contextmanager
def shared_providers() -> Iterator[None]:
    """Share clients in this block: models of the same provider, created by name, use one client and its connections."""
    token = _shared.set({})
    try:
        yield
    finally:
        _shared.reset(token)


def missing_variables(error: Exception) -> list[str]:
    """Return the environment variables that an error from creating a model reports as missing.

    Returns [] if the error has another cause.
    """
    return [] if isinstance(error, ImportError) else [name for name in _VARIABLE.findall(str(error)) if name != _ADMIN]


def refuse_empty_key(model: object) -> None:
    """Raise UserError if the key of an OpenAI model is set but empty.

    OpenAI's client would then accept OPENAI_ADMIN_KEY instead, which cannot call a model.
    """
    from pydantic_ai.exceptions import UserError

    if isinstance(model, str) and model.startswith("openai") and environment().get(_OPENAI) == "":
        raise UserError(f"The environment variable `{_OPENAI}` is empty.")


def _said(message: str) -> str:
    """Return the first sentence of PydanticAI's message. If the model is unknown, add the expected format.

    A message with a suggestion ("Did you mean") stays unchanged.
    """
    reason, _, more = message.partition(". ")
    if more.startswith("Did you mean"):
        return message
    expected = "; expected PROVIDER:MODEL, such as openai:gpt-5-mini" if reason.startswith("Unknown model") else ""
    return f"{reason.rstrip('.')}{expected}."


def _with_fallbacks(model: Model, names: Sequence[str], *, skip: bool) -> Model:
    """Return the model with the fallback models of these names.

    The offline model, and a model that already has fallbacks, are returned unchanged. A fallback without a key is left
    out if `skip` is true; otherwise, MissingKeyError is raised.
    """
    if not names or model.model_name == MODEL_NAME or falls_back(model):
        return model
    from pydantic_ai.models.fallback import FallbackModel

    fallbacks = list(_fallbacks(names, skip=skip))
    return FallbackModel(model, *fallbacks) if fallbacks else model


def _fallbacks(names: Sequence[str], *, skip: bool) -> Iterator[Model]:
    for name in names:
        try:
            yield named_model(name, "FALLBACK_MODELS")
        except MissingKeyError as error:
            if not skip:
                raise
            _warn_once(f"{error.reason} This fallback is left out.")


def falls_back(model: Model) -> bool:
    """Return whether the model is a FallbackModel, possibly in a wrapper."""
    from pydantic_ai.models.fallback import FallbackModel
    from pydantic_ai.models.wrapper import WrapperModel

    while isinstance(model, WrapperModel):
        model = model.wrapped
    return isinstance(model, FallbackModel)


def single_models(models: Iterable[Any]) -> Iterator[Model]:
    """Yield, without duplicates, the models that send requests, including those inside fallback models and wrappers."""
    waiting = list(models)
    if not waiting:
        return  # An app whose agents have no model does not import PydanticAI for this.
    from pydantic_ai.models.fallback import FallbackModel
    from pydantic_ai.models.wrapper import WrapperModel

    seen: set[int] = set()
    while waiting:
        model = waiting.pop(0)
        if isinstance(model, FallbackModel):
            waiting += model.models
        elif isinstance(model, WrapperModel):
            waiting.append(model.wrapped)
        elif id(model) not in seen:
            seen.add(id(model))
            yield model


def models_of(voices: Iterable[VoiceAgent[Any, Any]]) -> list[Any]:
    """Return the models of these agents, except those that are unset or given by name."""
    found = [voice.model or given_model(voice.agent) for voice in voices if voice.agent is not None]
    found += [voice.second_model for voice in voices]
    found += [voice.summary_model for voice in voices]
    found += [voice.judge_model for voice in voices]
    return [model for model in found if model is not None and not isinstance(model, str)]

"""Run forks for the dev page, and list the models that it offers. Error messages are worded for the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from ..agent.models import MissingKeyError, named_model
from ..agent.offline import MODEL_NAME
from ..emulator.playground.source import ForkRequest
from ..exceptions import AgentNotFoundError, ForkError, NotRecordedError
from ..journal.read import turns_of
from ..journal.record import Json
from ..replay.fork import Changes, find_turn, fork
from ..server.app import LayerCode
from ..settings import Settings
from ..settings.limits import Limits
from ..settings.provider_keys import PROVIDER_KEYS


async def fork_for_page(app: LayerCode, asked: ForkRequest) -> Json:
    """Fork a recorded call, and return the comparison as JSON. Raises DeveloperError, whose message names the fix."""
    try:
        turns = await turns_of(app.store, asked.conversation_id, bodies=True)
    except NotRecordedError:
        raise ForkError(f"Conversation {asked.conversation_id!r} is not in the journal any more.") from None
    name = find_turn(turns, asked.turn_id)[1].agent
    if name not in app.agents:
        raise AgentNotFoundError(f"Agent {name!r}, which answered this turn, is not loaded.")
    check_model(asked.model)
    changes = Changes(say=asked.say, prompt=asked.prompt, model=asked.model, run_tools=asked.run_tools, rest=asked.rest)
    others = [voice for other, voice in app.agents.items() if other != name]
    limits = Limits.of(app.settings)
    forked = await fork(turns, app.agents[name], at=asked.turn_id, changes=changes, others=others, limits=limits)
    return forked.to_json()


def check_model(name: str | None) -> None:
    """Check that a model can be created. Raises ForkError or ConfigurationError, worded for the page."""
    if name is None or name == MODEL_NAME:
        return
    try:
        named_model(name, "The model")
    except MissingKeyError as error:
        raise ForkError(f"{error.reason} Put it into .env, which is read as soon as it is saved.") from error


def models_for_page(settings: Settings, environment: Mapping[str, str]) -> Json:
    """Return the models that a fork may use: the models of the settings, and those of each provider.

    For each provider, `variable` is the environment variable of its key, and `ready` tells whether the key is set.
    """
    named = [settings.default_model, *settings.fallback_models]
    known = _known_models()
    return {
        "configured": list(dict.fromkeys(name for name in named if name and name != MODEL_NAME)),
        "providers": [
            {
                "name": name,
                "variable": variable,
                "ready": bool(environment.get(variable)),
                "models": known.get(name, []),
            }
            for name, variable in PROVIDER_KEYS.items()
        ],
    }


def _known_models() -> dict[str, list[str]]:
    """Return PydanticAI's list of models by provider."""
    from pydantic_ai.models import KnownModelName

    alias: Any = KnownModelName
    found: dict[str, list[str]] = {}
    for name in map(str, get_args(getattr(alias, "__value__", alias))):
        found.setdefault(name.partition(":")[0], []).append(name)
    return found

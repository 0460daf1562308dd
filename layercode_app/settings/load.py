"""Load the settings from arguments, environment, `.env` and `layercode.toml`, and record the source of each value."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsError,
)

from ..exceptions import ConfigurationError
from .environment import ENV_FILE, environment
from .files import is_settings_file, read_env, read_toml
from .table import Settings, env_name

TOML_FILE = "layercode.toml"
_PASSWORD = re.compile(r"://[^/\s@]+@")
EMPTY_MEANS_NONE = ("authorize_rate", "log_dir")
"""The settings that an empty variable turns off. For all others, an empty variable counts as not set."""
JSON_SETTINGS = {
    "agent_secrets": 'a JSON object such as {"name": "secret"}',
    "alerts": 'a JSON list such as [{"when": "error_rate > 5%"}]',
    "channels": 'a JSON object such as {"ops": "json://example.com"}',
}
"""The settings whose environment variable must hold JSON. Each value describes the JSON, for error messages."""


def load_settings(
    arguments: Mapping[str, Any] | None = None,
    *,
    env_file: Path | str | None = ENV_FILE,
    toml_file: Path | str | None = TOML_FILE,
) -> Settings:
    """Read every source once, and return the settings.

    An argument that is None counts as not given. Raises ConfigurationError, which names the setting, what was expected,
    and the value unless it is a secret.
    """
    given = {name: value for name, value in (arguments or {}).items() if value is not None}
    if env_file is not None and env_file != ENV_FILE and not is_settings_file(env_file):
        raise ConfigurationError(f"--env-file {env_file}: no such file. Create it, or omit the option.")
    in_file, in_toml = read_env(env_file), read_toml(toml_file)
    places = {"environment": _given_in(environment()), str(env_file): _given_in(in_file)}
    variables = places[str(env_file)] | places["environment"]
    loader = _loader(places[str(env_file)], in_toml)
    try:
        values = _emptied(variables) | given
        settings = loader(**values)
        other_id = _agent_id_of_platform(in_file) if settings.agent_id is None else None
        if other_id is not None:
            settings = loader(**values, agent_id=other_id)
    except ValidationError as error:
        raise ConfigurationError("\n".join(_reasons(error))) from None
    except SettingsError as error:
        raise ConfigurationError(_not_json(variables) or f"The settings are wrong: {error}") from None
    settings._sources.update(_sources_of(given, places | {str(toml_file): _by_variable(in_toml)}))
    if other_id is not None:
        settings._sources["agent_id"] = str(env_file)
    return settings


def _given_in(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that have a value, with lower-case names: pydantic-settings ignores the case of a name.

    Empty variables are left out, except those of the settings in EMPTY_MEANS_NONE.
    """
    may_be_empty = {_env_of(name).lower() for name in EMPTY_MEANS_NONE}
    lowered = {name.lower(): value for name, value in variables.items()}
    return {name: value for name, value in lowered.items() if value or name in may_be_empty}


def _agent_id_of_platform(in_file: Mapping[str, str]) -> str | None:
    """Return the agent's id from a variable with a prefix, such as NEXT_PUBLIC_LAYERCODE_AGENT_ID.

    The platform's own command line reads any variable of `.env` whose name ends in LAYERCODE_AGENT_ID.
    """
    return next((value for name, value in in_file.items() if name.endswith("LAYERCODE_AGENT_ID") and value), None)


def _loader(in_file: Mapping[str, str], in_toml: dict[str, Any]) -> Callable[..., Settings]:
    class Loader(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            # The file is not read again, because it may be a pipe.
            file_settings = EnvSettingsSource(settings_cls)
            file_settings.env_vars = {name: value for name, value in in_file.items() if value}
            return init_settings, env_settings, file_settings, InitSettingsSource(settings_cls, in_toml)

    return Loader


def _emptied(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of EMPTY_MEANS_NONE whose variable is set to an empty value."""
    return {name: "" for name in EMPTY_MEANS_NONE if variables.get(_env_of(name).lower()) == ""}


def _not_json(variables: Mapping[str, str]) -> str:
    """Return a message about the first variable that should contain JSON and does not; empty if there is none."""
    for name, expected in JSON_SETTINGS.items():
        value = variables.get(_env_of(name).lower(), "")
        try:
            json.loads(value or "null")
        except ValueError as error:
            return f"The setting {_env_of(name)} is wrong: expected {expected} ({error}){_shown(Settings.model_fields[name], value)}."
    return ""


def _env_of(name: str) -> str:
    return env_name(Settings.model_fields[name])


def _by_variable(in_toml: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a TOML file. Each key is the name of the setting's environment variable, in lower case.

    The file itself may also use a setting's name in Python, such as `store` for LAYERCODE_STORE.
    """
    return {(_env_of(key) if key in Settings.model_fields else key).lower(): value for key, value in in_toml.items()}


def _sources_of(given: Mapping[str, Any], places: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return where each setting was found. In each of the `places`, the keys are the lower-case names of variables."""

    def source(name: str, info: FieldInfo) -> str:
        env = env_name(info)
        if name in given or env in given:
            return "argument"
        return next((place for place, values in places.items() if env.lower() in values), "default")

    return {name: source(name, info) for name, info in Settings.model_fields.items()}


def _reasons(error: ValidationError) -> list[str]:
    """Return one message for each wrong setting."""
    return list(dict.fromkeys(_reason(one) for one in error.errors(include_url=False)))


def _reason(error: ErrorDetails) -> str:
    name = str(error["loc"][0]).upper()
    info = next((info for n, info in Settings.model_fields.items() if name in (n.upper(), env_name(info))), None)
    row, message = env_name(info) if info else name, error["msg"].removeprefix("Value error, ")
    # Do not add the value if the message names it already. Only messages of our own validators do so: a 0 in another
    # message is the limit, not the value.
    named = error["type"] == "value_error" and repr(error["input"]) in message
    shown = "" if info is None or named else _shown(info, error["input"])
    return f"The setting {row} is wrong: {message}{shown}."


def _shown(info: FieldInfo, value: object) -> str:
    """Return the last part of an error message: the wrong value. It is empty for a secret."""
    return "" if _is_secret(info) else f"; it is {_PASSWORD.sub('://…@', repr(value)[:100])}"


def _is_secret(info: FieldInfo) -> bool:
    return "SecretStr" in f"{info.annotation}{info.metadata}"

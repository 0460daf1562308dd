"""Load the settings from arguments, environment, `.env` and `layercode.toml`, and record the source of each value."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from ..exceptions import ConfigurationError
from .environment import ENV_FILE, environment
from .table import Settings, env_name

TOML_FILE = "layercode.toml"
_PASSWORD = re.compile(r"://[^/\s@]+@")
EMPTY_MEANS_NONE = ("authorize_rate", "log_dir")
"""The settings that an empty variable turns off. For all others, an empty variable counts as not set."""


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
    if env_file is not None and env_file != ENV_FILE and not Path(env_file).is_file():
        raise ConfigurationError(f"--env-file {env_file}: no such file. Create it, or omit the option.")
    loader = _loader(env_file, toml_file)
    try:
        values = _emptied(env_file) | given
        settings = loader(**values)
        other_id = _agent_id_of_platform(env_file) if settings.agent_id is None else None
        if other_id is not None:
            settings = loader(**values, agent_id=other_id)
    except ValidationError as error:
        raise ConfigurationError("\n".join(_reasons(error))) from None
    except ValueError as error:
        where = env_file if isinstance(error, UnicodeDecodeError) else toml_file
        raise ConfigurationError(f"The settings in {where} could not be read: {error}") from None
    settings._sources.update(_sources_of(settings, given, env_file, toml_file))
    if other_id is not None:
        settings._sources["agent_id"] = str(env_file)
    return settings


def _agent_id_of_platform(env_file: Path | str | None) -> str | None:
    """Return the agent's id from a variable with a prefix, such as NEXT_PUBLIC_LAYERCODE_AGENT_ID.

    The platform's own command line reads any variable of `.env` whose name ends in LAYERCODE_AGENT_ID.
    """
    from dotenv import dotenv_values

    in_file = dotenv_values(env_file) if env_file and Path(env_file).is_file() else {}
    return next((value for name, value in in_file.items() if name.endswith("LAYERCODE_AGENT_ID") and value), None)


def _loader(env_file: Path | str | None, toml_file: Path | str | None) -> Callable[..., Settings]:
    class Loader(Settings):
        model_config = SettingsConfigDict(env_file=env_file, toml_file=toml_file, env_file_encoding="utf-8")

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, dotenv_settings, TomlConfigSettingsSource(settings_cls)

    return Loader


def _emptied(env_file: Path | str | None) -> dict[str, str]:
    """Return the settings of EMPTY_MEANS_NONE whose variable is set to an empty value."""
    from dotenv import dotenv_values

    in_file = dotenv_values(env_file) if env_file and Path(env_file).is_file() else {}
    given = {**in_file, **environment()}
    return {name: "" for name in EMPTY_MEANS_NONE if given.get(_env_of(name)) == ""}


def _env_of(name: str) -> str:
    return env_name(Settings.model_fields[name])


def _sources_of(
    settings: Settings, given: Mapping[str, Any], env_file: Path | str | None, toml_file: Path | str | None
) -> dict[str, str]:
    from dotenv import dotenv_values

    in_file = dotenv_values(env_file) if env_file and Path(env_file).is_file() else {}
    in_toml = read_toml(toml_file)

    def source(name: str, info: FieldInfo) -> str:
        env = env_name(info)
        if name in given or env in given:
            return "argument"
        if environment().get(env) or (name in EMPTY_MEANS_NONE and env in environment()):
            return "environment"
        if in_file.get(env) or (name in EMPTY_MEANS_NONE and env in in_file):
            return str(env_file)
        return str(toml_file) if {name, env.lower(), env} & in_toml else "default"

    return {name: source(name, info) for name, info in type(settings).model_fields.items()}


def read_toml(toml_file: Path | str | None) -> set[str]:
    """Return the top-level names of a TOML file; empty if there is no file. Raises ValueError for invalid TOML."""
    import tomllib

    path = Path(toml_file) if toml_file else None
    return set(tomllib.loads(path.read_text())) if path and path.is_file() else set()


def _reasons(error: ValidationError) -> list[str]:
    """Return one message for each wrong setting."""
    return list(dict.fromkeys(_reason(one) for one in error.errors(include_url=False)))


def _reason(error: ErrorDetails) -> str:
    name = str(error["loc"][0]).upper()
    info = next((info for n, info in Settings.model_fields.items() if name in (n.upper(), env_name(info))), None)
    row, message = env_name(info) if info else name, error["msg"].removeprefix("Value error, ")
    shown = repr(error["input"])
    if info is None or _is_secret(info) or shown in message:
        return f"The setting {row} is wrong: {message}."
    return f"The setting {row} is wrong: {message}; it is {_PASSWORD.sub('://…@', shown[:100])}."


def _is_secret(info: FieldInfo) -> bool:
    return "SecretStr" in f"{info.annotation}{info.metadata}"

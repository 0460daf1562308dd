"""Scenario files: the caller's turns and the expected replies. The models also define the JSON schema."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ...exceptions import ConfigurationError


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ExpectedCall(_Part):
    """A tool call: its name, and some of its arguments."""

    name: str
    args: dict[str, Any] = {}


class Expectation(_Part):
    """What is expected of one turn. Texts are compared without regard to case; `within_ms` is about first speech."""

    contains: list[str] = []
    absent: list[str] = []
    matches: list[str] = Field(default=[], description="Regular expressions that must match the spoken text.")
    tools: list[ExpectedCall | str] | None = Field(
        default=None,
        description="The expected tool calls, in any order, by name or with some arguments; [] expects none.",
    )
    data: list[Any] = Field(default=[], description="Parts of the data for the browser, in any order.")
    within_ms: float | None = None
    hangup: bool | None = None


class Step(_Part):
    """One turn: what the caller says (nothing is the greeting), when they speak over the reply, what is expected."""

    say: str | None = None
    interrupt: int | float | str | None = Field(
        default=None, description="Interrupt the reply after words (2), after seconds (0.5), or once a text was heard."
    )
    playing: bool = Field(
        default=False, description="The interrupted reply was already complete, so all its tools and data are expected."
    )
    metadata: dict[str, Any] = Field(default={}, description="Metadata of this event, merged with the scenario's.")
    expect: Expectation = Expectation()
    judge: str | None = Field(default=None, description="A question about the turn for a judge model; yes is good.")


class Scenario(_Part):
    """One conversation."""

    name: str
    turns: list[Step] = Field(min_length=1)
    labels: list[str] = []
    metadata: dict[str, Any] = {}
    from_phone_number: str | None = None
    to_phone_number: str | None = None
    mock: dict[str, Any] = Field(default={}, description="Tools that do not run, and their answers.")


class ScenarioFile(_Part):
    """A file of scenarios for one agent."""

    agent: str
    scenarios: list[Scenario] = Field(min_length=1)

    @field_validator("scenarios")
    @classmethod
    def _named_uniquely(cls, scenarios: list[Scenario]) -> list[Scenario]:
        names = Counter(scenario.name for scenario in scenarios)
        if twice := [name for name, times in names.items() if times > 1]:
            raise ValueError(f"two scenarios are named {twice[0]!r}; expected a unique name for each")
        return scenarios


def load(path: Path) -> ScenarioFile:
    """Read a scenario file. Raises ConfigurationError with the place of the error and what was expected."""
    yaml = _yaml()
    try:
        return ScenarioFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; expected a YAML file of scenarios.") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} is not YAML: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise ConfigurationError(
            f"{path}: {place}: {first['msg']}. `eval --schema` prints the allowed fields."
        ) from error


def _yaml() -> Any:
    """Return PyYAML, an optional dependency. Raises ConfigurationError with the install command if it is missing."""
    try:
        import yaml
    except ModuleNotFoundError:
        raise ConfigurationError("Scenario files need PyYAML: pip install 'layercode-app[evals]'") from None
    return yaml


def dump(file: ScenarioFile) -> str:
    """Return a scenario file as YAML, without default values."""
    yaml = _yaml()
    values = file.model_dump(mode="json", exclude_defaults=True)
    text: str = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=110)
    return text


def schema() -> dict[str, Any]:
    """Return the JSON schema of a scenario file, for editors."""
    return ScenarioFile.model_json_schema()

"""Pydantic models of scenario files: the caller's turns and the expected replies. Also creates the JSON schema."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator, model_validator

from .parts import ExpectedCall as ExpectedCall
from .parts import Part
from .read_yaml import import_yaml, read_yaml
from .scenario_error import scenario_error
from .simulated.caller_spec import CallerSpec
from .simulated.end_spec import End
from .simulated.patterns import Pattern


class Expectation(Part):
    """The expectations of one turn. Texts are compared case-insensitively; `within_ms` limits the time to speech."""

    contains: list[str] = Field(default=[])
    absent: list[str] = Field(default=[])
    matches: list[Pattern] = Field(default=[], description="Regular expressions that must match the spoken text.")
    tools: list[ExpectedCall | str] | None = Field(
        default=None,
        description="Tool calls that the turn must make, in any order, by name or with some arguments. Other calls are "
        "allowed too, but [] expects no calls.",
    )
    data: list[Any] = Field(
        default=[], description="Data that the browser must receive; fields that you leave out are not compared."
    )
    within_ms: float | None = None
    hangup: bool | None = None


class Step(Part):
    """One turn: the caller's words (none for the greeting), an interruption of the reply, and what is expected."""

    say: str | None = None
    interrupt: int | float | str | None = Field(
        default=None,
        description="Interrupt the reply after a number of words (such as 2), a number of seconds since the request "
        "(such as 0.5), or a text that the reply contains.",
    )
    in_tool: bool = Field(default=False, description="Interrupt the reply as soon as one of its tools starts.")
    playing: bool = Field(
        default=False, description="Interrupt only the playback: the reply is complete, with all its tools and data."
    )
    must_interrupt: bool = Field(
        default=True,
        description="Whether the scenario fails if the reply ends before the interruption. With false, the scenario goes on: the caller has heard the whole reply.",
    )
    metadata: dict[str, Any] = Field(default={}, description="Metadata of this event, merged with the scenario's.")
    expect: Expectation = Expectation()
    judge: str | None = Field(
        default=None, description='A question about the turn for a judge model. Only "no" is a failure.'
    )

    @field_validator("interrupt", mode="before")
    @classmethod
    def _is_a_point(cls, interrupt: Any) -> Any:
        if isinstance(interrupt, int | float) and not isinstance(interrupt, bool):
            possible = 0 <= interrupt < math.inf
        else:
            possible = interrupt is None or (isinstance(interrupt, str) and interrupt != "")
        if not possible:
            raise ValueError(
                f"{interrupt!r}; expected a number of words (such as 2), a number of seconds (such as 0.5), or a text "
                "that the reply contains"
            )
        return interrupt

    @model_validator(mode="after")
    def _has_what_is_interrupted(self) -> Step:
        if self.playing and self.interrupt is None and not self.in_tool:
            raise ValueError(
                "`playing` interrupts nothing without `interrupt`; add `interrupt` with a number of words (such as 2) "
                "or a text that the reply contains"
            )
        if self.playing and isinstance(self.interrupt, float):
            raise ValueError(
                f"`playing` with `interrupt: {self.interrupt}`; expected a number of words (such as 2) or a text that "
                "the reply contains"
            )
        return self


class Scenario(Part):
    """One conversation: fixed `turns` or a simulated `caller`. `end` has the conditions for the end of the call."""

    name: str
    turns: list[Step] = Field(default=[], description="The caller's turns in a fixed order.")
    caller: CallerSpec | None = Field(default=None, description="A simulated caller, instead of `turns`.")
    end: End | None = Field(default=None, description="Conditions that must be true at the end of the call.")
    labels: list[str] = Field(default=[])
    metadata: dict[str, Any] = Field(default={})
    from_phone_number: str | None = None
    to_phone_number: str | None = None
    mock: dict[str, Any] = Field(default={}, description="Answers by tool name. The tools named here do not run.")
    notes: dict[str, list[str]] = Field(
        default={},
        description="Notes about callers, as if earlier calls had saved them. The keys are the callers' ids, as "
        "`remember` returns them. Calls on the dev page have the server's own notes instead.",
    )
    history_tokens: int | None = Field(
        default=None,
        gt=0,
        description="The token budget of the history, instead of LAYERCODE_HISTORY_TOKENS: with a small budget, even a "
        "short call is summarized. Calls on the dev page have the server's own budget.",
    )

    @model_validator(mode="after")
    def _turns_or_caller(self) -> Scenario:
        if self.turns and self.caller:
            raise ValueError(f"{self.name!r} has both `turns` and a `caller`; expected only one of them")
        if not self.turns and not self.caller:
            raise ValueError(f"{self.name!r} has neither `turns` nor a `caller`; expected one of them")
        return self


class ScenarioFile(Part):
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


def scenario_files(folder: Path) -> list[Path]:
    """Return the scenario files of a folder, sorted."""
    return sorted(folder.glob("*.y*ml"))


def load(path: Path) -> ScenarioFile:
    """Read a scenario file. Raises ConfigurationError with the line of the error and what was expected."""
    content = read_yaml(path)
    try:
        return ScenarioFile.model_validate(content)
    except ValidationError as error:
        raise scenario_error(path, error) from error


def dump(file: ScenarioFile) -> str:
    """Return a scenario file as YAML, without default values."""
    yaml = import_yaml()
    values = file.model_dump(mode="json", exclude_defaults=True)
    text: str = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=110)
    return text


def schema() -> dict[str, Any]:
    """Return the JSON schema of a scenario file, for editors."""
    return ScenarioFile.model_json_schema()

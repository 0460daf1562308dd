"""The `end:` of a scenario: the conditions that must be true at the end of the call."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ..parts import ExpectedCall, Part
from .patterns import Pattern


class EndCall(ExpectedCall):
    """A tool call that must have succeeded in the conversation, and how often it must have succeeded."""

    times: int | None = Field(
        default=None,
        ge=1,
        description="The exact number of times that this tool call must succeed. Without a number, it must succeed at "
        "least once.",
    )


class End(Part):
    """The expectations of a whole conversation. A failed expectation overrides every judge."""

    state: dict[str, Any] = Field(
        default={}, description="Fields that the state of the scenario's agent must have at the end of the call."
    )
    states: dict[str, dict[str, Any]] = Field(
        default={},
        description="Fields that the states of other agents must have at the end of the call. The keys are the names "
        "of agents to which the call was handed over.",
    )
    outcomes: list[str] = Field(
        default=[], description="Outcomes that must happen, each exactly as often as it is listed here."
    )
    tools: list[EndCall | str] = Field(
        default=[], description="Tools that must succeed: names, or names with arguments."
    )
    absent_tools: list[str] = Field(default=[], description="Tools that must not be called.")
    data: list[Any] = Field(
        default=[], description="Data that the browser must receive; fields that you leave out are not compared."
    )
    said: list[Pattern] = Field(default=[], description="Texts or regular expressions that the caller must hear.")
    unsaid: list[Pattern] = Field(default=[], description="Texts or regular expressions that must not be spoken.")
    grounded: bool = Field(
        default=False, description="Fail if the agent says a number that no tool, prompt or caller named."
    )
    max_cost: float | None = Field(default=None, ge=0, description="Maximum dollars for the agent's models.")
    within_turns: int | None = Field(
        default=None,
        ge=1,
        description="The most messages that the caller may send. Silence and listening sounds (mhm) do not count.",
    )
    judge: list[str] | str = Field(
        default=[],
        description="Judges of the whole call: your own questions, names of stock judges, or `all`. "
        'Only the answer "no" is a failure.',
    )

    @property
    def judges(self) -> list[str]:
        """The value of `judge` as a list."""
        return [self.judge] if isinstance(self.judge, str) else self.judge

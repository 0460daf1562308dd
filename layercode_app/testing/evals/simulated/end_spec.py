"""The `end:` of a scenario: what must have been done when the call is over."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ..parts import ExpectedCall, Part
from .patterns import Pattern


class EndCall(ExpectedCall):
    """A tool call that must have succeeded during the conversation, and how often."""

    times: int | None = Field(default=None, ge=1, description="Exactly this often; without it at least once.")


class End(Part):
    """What is expected of a whole conversation. What was done overrides every judge."""

    state: dict[str, Any] = Field(default={}, description="A part of the conversation's state at the end.")
    outcomes: list[str] = Field(default=[], description="Outcomes by name, each as often as it is listed.")
    tools: list[EndCall | str] = Field(default=[], description="Tools that must have run, by name or with arguments.")
    absent_tools: list[str] = Field(default=[], description="Tools that must not be called.")
    data: list[Any] = Field(default=[], description="Parts of the data for the browser, from any turn.")
    said: list[Pattern] = Field(default=[], description="Texts or regular expressions that the caller must hear.")
    unsaid: list[Pattern] = Field(default=[], description="Texts or regular expressions that must not be spoken.")
    grounded: bool = Field(
        default=False, description="Every number spoken was in a tool's result, in the prompt, or said by the caller."
    )
    max_cost: float | None = Field(default=None, ge=0, description="Dollars of the agent's models.")
    within_turns: int | None = Field(
        default=None, ge=1, description="The most messages of the caller. Listening sounds and silence do not count."
    )
    judge: list[str] | str = Field(
        default=[], description="Questions about the whole conversation, names of stock judges, or `all`; yes is good."
    )

    @property
    def judges(self) -> list[str]:
        """The questions and names of judges, as written."""
        return [self.judge] if isinstance(self.judge, str) else self.judge

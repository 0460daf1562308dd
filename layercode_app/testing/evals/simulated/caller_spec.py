"""The `caller:` of a scenario: who calls, what they want, and how they behave on the line."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from ..parts import Part
from .patterns import Pattern

MOST_TURNS = 100
"""Maximum number of turns; a caller who has not hung up by then has failed."""

Share = Annotated[float, Field(ge=0, le=1)]
"""The share of turns in which something happens, from 0 to 1."""


BreaksIn = Literal[
    "before the first word",
    "after three words",
    "within a tool",
    "while it is still played",
    "twice in a row",
    "with a listening sound",
]
"""A kind of interruption, as `--interruptions matrix` plays each of them."""


class Rule(Part):
    """A line of a script: once `when` was heard since the caller's last line, `say` is said. Each rule is used once."""

    when: Pattern | None = Field(
        default=None, description="A text or a regular expression, without regard to case; without it the rule is next."
    )
    say: str


class Behaviour(Part):
    """How often the caller does what callers do, as shares of turns. The seed decides where."""

    interrupts: Share = Field(default=0, description="Speaks the next line over the reply.")
    backchannels: Share = Field(default=0, description="Makes a listening sound, such as mhm, while the agent speaks.")
    hesitates: Share = Field(default=0, description="Says um, begins again, or corrects a word.")
    misheard: Share = Field(default=0, description="Speech recognition writes a homophone, or drops a small word.")
    silent: Share = Field(default=0, description="Says nothing at first.")
    splits: Share = Field(default=0, description="A sentence is delivered as two messages.")


class CallerSpec(Part):
    """A simulated caller. With `script` no model is called; without it, `--caller-model` plays the persona."""

    persona: str = ""
    goal: str = ""
    facts: dict[str, Any] = Field(default={}, description="What the caller knows, such as a name or an order number.")
    script: str | list[Rule] | None = Field(
        default=None, description="What is said without a model: rules, or a function at `module:function`."
    )
    behaviour: Behaviour = Behaviour()
    breaks_in: BreaksIn | None = Field(
        default=None, description="Breaks in at this point: in run 1 from the first line on, in run 2 from the second."
    )
    max_turns: int = Field(
        default=12, ge=1, le=MOST_TURNS, description="The most messages of the caller; the greeting is not counted."
    )

    @field_validator("script")
    @classmethod
    def _is_an_address(cls, script: str | list[Rule] | None) -> str | list[Rule] | None:
        if isinstance(script, str) and not all(script.partition(":")):
            raise ValueError(f"{script!r}; expected `module:function`, or a list of rules such as {{say: Hello}}")
        if script == []:
            raise ValueError("no rules; expected at least one, such as {say: Hello}")
        return script

    @model_validator(mode="after")
    def _says_something(self) -> CallerSpec:
        if self.script is None and not self.goal:
            raise ValueError("a caller without a script needs a `goal`, which the model tries to reach")
        return self

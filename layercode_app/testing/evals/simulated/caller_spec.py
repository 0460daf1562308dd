"""The `caller:` of a scenario: who calls, what they want, and how they behave on the line."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from ..parts import Part
from .patterns import Pattern

MOST_TURNS = 100
"""Maximum number of turns; the run fails if the caller has not hung up by then."""

Share = Annotated[float, Field(ge=0, le=1)]
"""A share of the turns, from 0 to 1."""


BreaksIn = Literal[
    "before the first word",
    "after three words",
    "within a tool",
    "while it is still played",
    "twice in a row",
    "with a listening sound",
]
"""The kinds of interruption; `--interruptions matrix` plays all of them."""


class Rule(Part):
    """A line of a script: the caller says `say` if `when` was heard since their last line. Each rule is used once."""

    when: Pattern | None = Field(
        default=None, description="A text or regular expression, ignoring case. Without `when`, the rule always fits."
    )
    say: str


class Behaviour(Part):
    """How often the caller shows each behaviour, as a share of turns. The seed decides in which turns it is shown."""

    interrupts: Share = Field(default=0, description="Interrupts the reply with the next line.")
    backchannels: Share = Field(default=0, description="Makes a listening sound, such as mhm, while the agent speaks.")
    hesitates: Share = Field(default=0, description="Says um, begins again, or corrects a word.")
    misheard: Share = Field(default=0, description="Speech recognition writes a homophone, or drops a small word.")
    silent: Share = Field(default=0, description="Stays silent for one turn before saying the next line.")
    splits: Share = Field(default=0, description="Delivers a sentence as two messages.")


class CallerSpec(Part):
    """A simulated caller. The `script` chooses the words. Without a script, the model of `--caller-model` does."""

    persona: str = ""
    goal: str = ""
    facts: dict[str, Any] = Field(default={}, description="What the caller knows, such as a name or an order number.")
    script: str | list[Rule] | None = Field(
        default=None,
        description="A list of rules, or a function, given as `module:function`. The rules or the function choose the "
        "caller's lines in place of a model.",
    )
    behaviour: Behaviour = Behaviour()
    breaks_in: BreaksIn | None = Field(
        default=None,
        description="The point at which the caller interrupts a reply. Run 1 interrupts the reply to the caller's "
        "first line, run 2 the reply to the second line, and so on. If that reply is too short, a later reply is "
        "interrupted.",
    )
    max_turns: int = Field(
        default=12, ge=1, le=MOST_TURNS, description="Maximum messages of the caller; the greeting does not count."
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

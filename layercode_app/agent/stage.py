"""`Stage`: a part of a call with its own instructions and tools, such as first the order, then the payment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from ..blank import is_blank
from ..conversation.flow import check_known
from ..conversation.turn import Turn
from ..exceptions import DeveloperError
from .hooks import check_parameters

if TYPE_CHECKING:
    from pydantic_ai.toolsets import AbstractToolset

Then: TypeAlias = "str | Sequence[str] | Callable[[Turn[Any, Any]], str | None] | None"
NEXT_STAGE = "next_stage"
"""The name of the tool with which the model goes on to another stage."""


@dataclass(frozen=True)
class Stage:
    """A part of a call: `Stage("order", "Take the order.", [add_item], then="payment")`.

    Args:
        name: Its name, for `turn.go_to`, `sessions show` and the traces.
        instructions: What the model is told in this stage, after the agent's own instructions: a text, or a function of
            the turn that returns one.
        tools: The tools that only this stage has: functions, PydanticAI tools and toolsets, and the names of the agent's own
            tools. An agent's tool that no stage names is in every stage.
        then: What follows. The model gets the tool `next_stage` for one name or several names. A function of the turn
            returns the next stage's name, or None to stay, and is called after each tool and each reply.

    """

    name: str
    instructions: str | Callable[[Turn[Any, Any]], str] = ""
    tools: Sequence[Any] = ()
    then: Then = None

    def __post_init__(self) -> None:
        name: object = self.name
        if not isinstance(name, str) or is_blank(name):
            raise DeveloperError(f"Stage name={self.name!r}: expected a text, such as 'payment'.")
        if callable(self.instructions):
            check_parameters("instructions", self.instructions, ("turn",))
        elif not isinstance(self.instructions, str):
            raise DeveloperError(
                f"Stage instructions={self.instructions!r}: expected a text, or a function of the turn."
            )
        if callable(self.then):
            check_parameters("then", self.then, ("turn",))

    @property
    def following(self) -> tuple[str, ...]:
        """The names of the stages that the model can go on to."""
        if self.then is None or callable(self.then):
            return ()
        return (self.then,) if isinstance(self.then, str) else tuple(self.then)

    @property
    def own_names(self) -> frozenset[str]:
        """The names of the agent's own tools that are in this stage."""
        return frozenset(tool for tool in self.tools if isinstance(tool, str))

    def told(self, turn: Turn[Any, Any]) -> str:
        """Return the instructions of this stage."""
        return self.instructions(turn) if callable(self.instructions) else self.instructions


class Stages:
    """The stages of one agent, in order. Raises DeveloperError for names that are repeated or unknown."""

    def __init__(self, given: Iterable[Stage]) -> None:
        stages = list(given)
        everything: list[object] = list(stages)
        if wrong := next((stage for stage in everything if not isinstance(stage, Stage)), None):
            raise DeveloperError(
                f"VoiceAgent stages: expected a list of Stage(name, instructions, tools), got {wrong!r}."
            )
        self.by_name = {stage.name: stage for stage in stages}
        if len(self.by_name) < len(stages):
            raise DeveloperError("VoiceAgent stages: two stages have the same name. Each needs a name of its own.")
        for stage in stages:
            _check_following(stage, list(self.by_name))
        self.names = tuple(self.by_name)

    def __bool__(self) -> bool:
        return bool(self.by_name)

    def of(self, turn: Turn[Any, Any]) -> Stage:
        """Return the stage that the conversation is at."""
        return self.by_name[turn.stage]

    @cached_property
    def claimed(self) -> frozenset[str]:
        """The names of the agent's own tools that are in some stages only."""
        return frozenset(name for stage in self.by_name.values() for name in stage.own_names)

    @cached_property
    def toolsets(self) -> dict[str, AbstractToolset[Any]]:
        """The tools of each stage, by its name, without `next_stage`."""
        return {name: _toolset(stage) for name, stage in self.by_name.items()}

    def follow(self, turn: Turn[Any, Any]) -> None:
        """Go on to the stages that code names with `then`, until one stays. Calls that wait for a yes hold the stage."""
        while not turn.record.pending and turn.stage and callable(then := self.of(turn).then):
            name, before = then(turn), turn.stage
            if name is None:
                return
            turn.go_to(name)
            if turn.stage == before:
                return  # It stays, or there were too many moves in this turn.


def _check_following(stage: Stage, known: Sequence[str]) -> None:
    for name in stage.following:
        check_known(name, known, f"Stage({stage.name!r}) then={name!r}: the agent has no such stage.")


def _toolset(stage: Stage) -> AbstractToolset[Any]:
    from pydantic_ai.toolsets import AbstractToolset, CombinedToolset, FunctionToolset

    given = [tool for tool in stage.tools if not isinstance(tool, str)]
    functions: FunctionToolset[Any] = FunctionToolset([tool for tool in given if not isinstance(tool, AbstractToolset)])
    others = [tool for tool in given if isinstance(tool, AbstractToolset)]
    return CombinedToolset([functions, *others]) if others else functions

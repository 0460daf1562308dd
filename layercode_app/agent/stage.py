"""`Stage`: a part of a call with its own instructions and tools, such as the order or the payment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
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
"""The name of the tool that the model calls to move on to another stage."""


@dataclass(frozen=True)
class Stage:
    """A part of a call: `Stage("order", "Take the order.", [add_item], then="payment")`.

    Args:
        name: The stage's name, for `turn.go_to`, `sessions show` and the traces.
        instructions: Instructions for the model in this stage, added after the agent's own: a text, or a function of
            the turn that returns a text.
        tools: The tools of this stage: functions, PydanticAI tools and toolsets, and names of the agent's own tools.
            Tools of the agent that are not listed in any stage are available in every stage.
        then: The next stage. If it is one or several names, the model gets the tool `next_stage`. If it is a function
            of the turn, it returns the next stage's name, or None to stay. It is called after each successful tool call
            and each reply.

    Raises DeveloperError or HookError for an argument of the wrong type.

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
        object.__setattr__(self, "tools", _checked_tools(self.name, self.tools))
        _check_then(self.name, self.then)

    @property
    def following(self) -> tuple[str, ...]:
        """The names of the stages that the model can move on to."""
        if self.then is None or callable(self.then):
            return ()
        return (self.then,) if isinstance(self.then, str) else tuple(self.then)

    @property
    def own_names(self) -> frozenset[str]:
        """The names of the agent's own tools that are listed in this stage."""
        return frozenset(tool for tool in self.tools if isinstance(tool, str))

    def told(self, turn: Turn[Any, Any]) -> str:
        """Return the instructions of this stage as text."""
        return self.instructions(turn) if callable(self.instructions) else self.instructions


class Stages:
    """The stages of one agent, in order. Raises DeveloperError for a duplicate or an unknown name."""

    def __init__(self, given: Iterable[Stage]) -> None:
        stages = _listed(given)
        self.by_name = {stage.name: stage for stage in stages}
        if len(self.by_name) < len(stages):
            (twin, _), *_ = Counter(stage.name for stage in stages).most_common(1)
            raise DeveloperError(
                f"VoiceAgent stages: two stages have the same name, {twin!r}. Give each stage a unique name."
            )
        for stage in stages:
            _check_following(stage, list(self.by_name))
        self.names = tuple(self.by_name)

    def __bool__(self) -> bool:
        return bool(self.by_name)

    def of(self, turn: Turn[Any, Any]) -> Stage:
        """Return the current stage of the conversation."""
        return self.by_name[turn.stage]

    @cached_property
    def claimed(self) -> frozenset[str]:
        """The names of the agent's own tools that are listed in a stage. Other stages do not have these tools."""
        return frozenset(name for stage in self.by_name.values() for name in stage.own_names)

    @cached_property
    def toolsets(self) -> dict[str, AbstractToolset[Any]]:
        """The toolset of each stage, by the stage's name. The tool `next_stage` is not included."""
        return {name: _toolset(stage) for name, stage in self.by_name.items()}

    def follow(self, turn: Turn[Any, Any]) -> None:
        """Go to the next stage as long as the current stage's `then` function returns one.

        The stage does not change while tool calls wait for the caller's confirmation.
        """
        while not turn.record.pending and turn.stage and callable(then := self.of(turn).then):
            name, before = then(turn), turn.stage
            if name is None:
                return
            turn.go_to(name)
            if turn.stage == before:
                return  # The function named the same stage, or this turn has had too many moves.


def _listed(given: object) -> list[Stage]:
    """Return the stages as a list. Raises DeveloperError for anything that is not a list of stages."""
    stages: list[Any] = list(given) if isinstance(given, Iterable) else [None]
    if all(isinstance(stage, Stage) for stage in stages):
        return stages
    wrong = next(stage for stage in stages if not isinstance(stage, Stage)) if isinstance(given, Iterable) else given
    raise DeveloperError(f"VoiceAgent stages: expected a list of Stage(name, instructions, tools), got {wrong!r}.")


def _checked_tools(name: str, given: object) -> Sequence[Any]:
    """Return the tools as a sequence, because the stage reads them more than once.

    Raises DeveloperError unless they are functions, PydanticAI tools, toolsets and names.
    """
    from pydantic_ai import Tool
    from pydantic_ai.toolsets import AbstractToolset

    if not isinstance(given, Iterable) or isinstance(given, str | bytes | Mapping):
        one = repr(given) if isinstance(given, str) else getattr(given, "__name__", "…")
        raise DeveloperError(f"Stage({name!r}) tools={given!r}: expected a list, such as [{one}].")
    tools = given if isinstance(given, Sequence) else list(given)
    for tool in tools:
        if not (isinstance(tool, str | Tool | AbstractToolset) or callable(tool)):
            raise DeveloperError(
                f"Stage({name!r}) tools has {tool!r}: expected a function, a PydanticAI tool or toolset, or the name of "
                "one of the agent's tools."
            )
    return tools


def _check_then(name: str, then: object) -> None:
    """Raise DeveloperError or HookError unless `then` is a name, a list of names, a function of the turn, or None."""
    if callable(then):
        check_parameters("then", then, ("turn",))
        return
    names = then if isinstance(then, list | tuple) else [then]
    if then is not None and not all(isinstance(one, str) for one in names):
        raise DeveloperError(
            f"Stage({name!r}) then={then!r}: expected the name of a stage, a list of names, or a function of the turn."
        )


def _check_following(stage: Stage, known: Sequence[str]) -> None:
    for name in stage.following:
        check_known(name, known, f"Stage({stage.name!r}) then={name!r}: the agent has no such stage.")


def _toolset(stage: Stage) -> AbstractToolset[Any]:
    from pydantic_ai.toolsets import AbstractToolset, CombinedToolset, FunctionToolset

    given = [tool for tool in stage.tools if not isinstance(tool, str)]
    functions: FunctionToolset[Any] = FunctionToolset([tool for tool in given if not isinstance(tool, AbstractToolset)])
    others = [tool for tool in given if isinstance(tool, AbstractToolset)]
    return CombinedToolset([functions, *others]) if others else functions

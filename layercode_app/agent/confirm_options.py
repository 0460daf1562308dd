"""`Confirm`: the question that the caller is asked before a tool runs.

The question comes from the argument `confirm=` of `VoiceAgent`, or else from the tool's description.
"""

from __future__ import annotations

import inspect
import string
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from pydantic import BaseModel

from ..blank import is_blank
from ..conversation.sentences import to_sentence_end
from ..conversation.turn import Turn
from ..exceptions import DeveloperError
from .hooks import check_parameters
from .tool_policy import texts_of

if TYPE_CHECKING:
    from .voice_agent import VoiceAgent

Question: TypeAlias = "str | Callable[[Turn[Any, Any], dict[str, Any]], str | Awaitable[str]]"
"""A text with fields such as {total}, or a function of the turn and the tool call's arguments."""
GO_AHEAD = "Shall I go ahead?"
"""The end of a default question."""


@dataclass(frozen=True)
class Confirm:
    """Options for the confirmation of one tool: `confirm={"place_order": Confirm("Shall I order?", yes=["do it"])}`.

    Args:
        question: The spoken question. A text may have fields: the tool call's arguments, the fields and properties of
            `turn.state`, and the metadata. By default the question is made from the tool's description.
        yes: Additional answers that mean yes.
        no: Additional answers that mean no.

    Raises DeveloperError or HookError for an argument of the wrong type.

    """

    question: Question | None = None
    yes: Sequence[str] = ()
    no: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.question is not None and not isinstance(self.question, str):
            if not callable(self.question):
                raise DeveloperError(
                    f"Confirm question={self.question!r}: expected a text, or a function of the turn and the arguments."
                )
            check_parameters("confirm", self.question, ("turn", "args"))
        texts_of("Confirm yes", self.yes)
        texts_of("Confirm no", self.no)


DEFAULT_CONFIRM = Confirm()


def confirms_of(given: Mapping[str, Any] | None) -> dict[str, Confirm]:
    """Return a Confirm for each tool in `given`, by the tool's name.

    A text, or a function that returns a text, becomes the `question` of a new Confirm.
    """
    return {name: one if isinstance(one, Confirm) else Confirm(one) for name, one in (given or {}).items()}


async def question_of(voice: VoiceAgent[Any, Any], turn: Turn[Any, Any], name: str, args: dict[str, Any]) -> str:
    """Return the question that is asked before one tool call.

    An argument that the model left out has the tool's default, unless that is None.

    The default question is used if `confirm` has no question. It is also used if making the question fails; that error
    is logged.
    """
    confirm, tool = voice.confirm.get(name, DEFAULT_CONFIRM), _tool_of(voice, turn, name)
    try:
        asked = await _own_question(confirm.question, turn, _defaults_of(tool) | args)
    except Exception as error:  # noqa: BLE001 - a question that fails must neither run the tool nor end the turn
        turn.log.opt(exception=error).error("The confirm= question of {} failed: {}", name, type(error).__name__)
        asked = ""
    return asked if not is_blank(asked) else _default_question(name, getattr(tool, "description", None) or "")


async def _own_question(question: Question | None, turn: Turn[Any, Any], args: dict[str, Any]) -> str:
    if question is None or isinstance(question, str):
        return _Fields(turn, args).format(question or "")
    asked = question(turn, args)
    return await asked if inspect.isawaitable(asked) else asked


def _default_question(name: str, description: str) -> str:
    sentence = to_sentence_end(" ".join(description.split()))[0].strip().rstrip(".!?")
    return f"{sentence or name.replace('_', ' ').capitalize()}. {GO_AHEAD}"


class _Fields(string.Formatter):
    """Fills in the fields of a question.

    Each value comes from the tool call's arguments, else from the state, else from the metadata.
    """

    def __init__(self, turn: Turn[Any, Any], args: dict[str, Any]) -> None:
        self._args, self._turn = args, turn

    def get_value(self, key: int | str, args: Any, kwargs: Any) -> Any:
        if str(key) in self._args:
            return self._args[str(key)]
        for source in (self._turn.state, self._turn.metadata):
            if isinstance(source, BaseModel) and hasattr(source, str(key)):
                return getattr(source, str(key))
            if isinstance(source, Mapping) and key in source:
                return source[key]
        raise KeyError(key)


# --- the agent's tools


class HasToolsets(Protocol):
    """An agent with tools."""

    @property
    def toolsets(self) -> Sequence[Any]:
        """The agent's toolsets."""


def needs_confirmation(agent: HasToolsets, confirm: Mapping[str, Confirm]) -> bool:
    """Return whether any tool must be confirmed, because of `confirm` or of its own `requires_approval`."""
    return bool(confirm) or any(map(_requires_approval, agent.toolsets))


def has_tools(agent: HasToolsets) -> bool:
    """Return whether the agent may have tools. Some toolsets know their tools only in a run."""
    return any(getattr(toolset, "tools", True) for toolset in agent.toolsets)


def _tool_of(agent: HasToolsets, turn: Turn[Any, Any], name: str) -> Any:
    """Return the definition of the tool that the model knows by this name, or None if there is none.

    Before the first model request of a turn, only the agent's own functions are known. A toolset may have renamed them.
    """
    leaves = (leaf for toolset in agent.toolsets for leaf in _unwrapped(toolset))
    own = (getattr(leaf.tools[name], "tool_def", None) for leaf in leaves if name in getattr(leaf, "tools", ()))
    return next((tool for tool in turn.live.run.tools if tool.name == name), None) or next(own, None)


def _defaults_of(tool: Any) -> dict[str, Any]:
    """Return the defaults of a tool's arguments, except None."""
    schema = getattr(tool, "parameters_json_schema", {})
    defaults = {name: field.get("default") for name, field in schema.get("properties", {}).items()}
    return {name: default for name, default in defaults.items() if default is not None}


def _requires_approval(toolset: Any) -> bool:
    from pydantic_ai.toolsets import ApprovalRequiredToolset

    return any(
        isinstance(part, ApprovalRequiredToolset)
        or any(getattr(tool, "requires_approval", False) for tool in getattr(part, "tools", {}).values())
        for part in _unwrapped(toolset)
    )


def _unwrapped(toolset: Any) -> list[Any]:
    """Return a toolset and all toolsets inside it."""
    inside = [*getattr(toolset, "toolsets", ()), *([toolset.wrapped] if hasattr(toolset, "wrapped") else [])]
    return [toolset, *(part for one in inside for part in _unwrapped(one))]

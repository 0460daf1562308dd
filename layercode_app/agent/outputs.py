"""Classify an agent's output: text that can be spoken while it streams, text that may be rejected, or another type."""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, Union, get_args, get_origin

from loguru import logger

from .._compat.pydantic_ai import has_hook, output_validators, prepare_output

if TYPE_CHECKING:
    from pydantic_ai.agent import AbstractAgent


HOOKS: Final = ("after_model_request", "before_output_process", "after_output_process", "wrap_output_process")
"""The hooks of capabilities that may reject or change a complete reply, so that the reply is held back.

`wrap_model_request` is left out: such a hook must not change the reply.
"""


def speaks_text(agent: AbstractAgent[Any, Any]) -> bool:
    """Return whether the agent may answer in plain text."""
    return any(kind is str or _is_text_output(kind) for kind in _kinds(agent.output_type))


def may_be_rejected(agent: AbstractAgent[Any, Any]) -> bool:
    """Return whether a validator, a capability's hook or a `TextOutput` function may reject or change the agent's text."""
    return bool(_judge(agent)) or any(_is_text_output(kind) for kind in _kinds(agent.output_type))


def may_defer(agent: AbstractAgent[Any, Any]) -> bool:
    """Return whether the agent's output type allows a run to end with tool calls that wait for an approval."""
    from pydantic_ai import DeferredToolRequests

    return any(kind is DeferredToolRequests for kind in _kinds(agent.output_type))


def takes_deferred(agent: AbstractAgent[Any, Any]) -> bool:
    """Return whether `DeferredToolRequests` can be added to the output types of a run.

    Return False if the agent has output validators, or if PydanticAI does not tell whether it has any.
    """
    validators = _validators(agent)
    return validators is not None and not validators


def with_deferred(agent: AbstractAgent[Any, Any]) -> list[Any]:
    """Return the agent's output types plus `DeferredToolRequests`, for tool calls that wait for an approval.

    Pass this list itself to the runs, not a copy of it: its schemas are then built only once.
    """
    from pydantic_ai import DeferredToolRequests

    own = agent.output_type
    kinds = [*(own if isinstance(own, list | tuple) else [own]), DeferredToolRequests]
    if own is not str:
        prepare_output(_innermost(agent), kinds)
    return kinds


def fault_of_validators(name: str, agent: AbstractAgent[Any, Any]) -> str:
    """Return an error message if an output validator of the agent prevents tool calls from waiting for an approval.

    A tool call that waits for an approval ends the run, and PydanticAI then needs DeferredToolRequests as an output
    type. The toolkit does not add this type to an agent with an output validator. Return "" if the agent itself has
    this type, or has no output validator.
    """
    if may_defer(agent) or not _validators(agent):
        return ""
    return (
        f"VoiceAgent({name!r}): the agent has an output validator, and tools that must be confirmed. Then PydanticAI "
        "needs DeferredToolRequests as an output type: Agent(..., output_type=[str, DeferredToolRequests])."
    )


def warn_of_outputs(name: str, agent: AbstractAgent[Any, Any], *, speak: bool) -> None:
    """Warn about an output validator, or a hook that may change the reply, because it delays the first word.

    With `speak` there is no warning, because then no reply is streamed in any case.
    """
    if speak:
        return
    if judge := _judge(agent):
        logger.warning(
            "Agent {!r} has {}, so each reply is held back until it is accepted. The caller hears the first word later, "
            "after a filler. Words before tool calls are spoken at once.",
            name,
            judge,
        )


def _judge(agent: Any) -> str:
    """Return what may reject or change a complete reply, in words: a validator or a hook; "" if there is none."""
    if _validators(agent):
        return "an output validator"
    root = getattr(_innermost(agent), "root_capability", None)
    return next((f"the hook {name}" for name in HOOKS if root is not None and has_hook(root, name)), "")


def _validators(agent: Any) -> Any:
    return output_validators(_innermost(agent))


def _innermost(agent: Any) -> Any:
    """Return the agent inside all wrappers."""
    while (wrapped := getattr(agent, "wrapped", None)) is not None:
        agent = wrapped
    return agent


def _kinds(output: Any) -> Iterator[Any]:
    """Yield the single output types of nested lists and unions."""
    several = output if isinstance(output, list | tuple) else get_args(output) if _is_union(output) else None
    if several is None:
        yield output
        return
    for one in several:
        yield from _kinds(one)


def _is_union(output: Any) -> bool:
    return get_origin(output) in (Union, UnionType)


def _is_text_output(kind: Any) -> bool:
    from pydantic_ai import TextOutput

    return isinstance(kind, TextOutput)

"""Whether an agent's output is text, which is spoken as it streams, or something that must be put into words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic_ai.agent import AbstractAgent


def speaks_text(agent: AbstractAgent[Any, Any]) -> bool:
    """Whether the agent may answer in plain text."""
    return any(kind is str or _is_text_output(kind) for kind in _kinds(agent.output_type))


def _kinds(output: Any) -> Iterable[Any]:
    return output if isinstance(output, list | tuple) else [output]


def _is_text_output(kind: Any) -> bool:
    from pydantic_ai import TextOutput

    return isinstance(kind, TextOutput)

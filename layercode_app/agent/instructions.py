"""Read or replace the prompt in the instructions of a PydanticAI agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._compat.pydantic_ai import capability_instructions, instructions
from .markdown_filter import SPEAK_PLAINLY
from .prompts import was_loaded

if TYPE_CHECKING:
    from pydantic_ai.agent import AbstractAgent


def instructions_of(agent: AbstractAgent[Any, Any]) -> list[Any]:
    """Return the agent's own instructions in their original order: str, `InstructionPart` or functions."""
    return instructions(getattr(agent, "wrapped", agent))


def prompt_of(agent: AbstractAgent[Any, Any] | None) -> str:
    """Return the agent's prompt, or "" if it has none.

    The prompt is the text that `load_prompt` read. If no instruction is such a text, the prompt consists of all texts
    of the instructions except SPEAK_PLAINLY.
    """
    parts = instructions_of(agent) if agent else []
    return "\n\n".join(_text(parts[place]) for place in _prompt_places(parts))


def with_prompt(agent: AbstractAgent[Any, Any], prompt: str) -> list[Any]:
    """Return the agent's instructions with the prompt replaced. Functions and texts that are not the prompt are kept."""
    parts = instructions_of(agent)
    places = _prompt_places(parts)
    first = places[0] if places else 0
    kept = [(place, part) for place, part in enumerate(parts) if place not in places]
    before = [part for place, part in kept if place < first]
    after = [part for place, part in kept if place >= first]
    return [*before, prompt, *after, *capability_instructions(getattr(agent, "wrapped", agent))]


def _prompt_places(parts: list[Any]) -> list[int]:
    texts = {place: _text(part) for place, part in enumerate(parts) if _text(part)}
    loaded = [place for place, text in texts.items() if was_loaded(text)]
    return loaded or [place for place, text in texts.items() if text != SPEAK_PLAINLY]


def _text(part: Any) -> str:
    """Return the text of an instruction, or "" for a function, whose text is known only when it runs."""
    text = part if isinstance(part, str) else getattr(part, "content", "")
    return text if isinstance(text, str) else ""

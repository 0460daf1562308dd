"""Build an agent's filler, the words that it says during a silence, from the arguments of `VoiceAgent`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from ..blank import is_blank
from ..conversation.fillers import Filler
from ..exceptions import DeveloperError
from ..journal.cost import FREE_MODEL

FillerTexts: TypeAlias = "str | Sequence[str] | Literal[False] | None"
"""A text, several texts, False for no filler, or None for the default."""
EVERY_SECONDS = 3.5


def filler_of(given: FillerTexts, after: float, every: float | None, *, model: bool) -> Filler | None:
    """Return the filler of an agent; `model` tells whether a model answers. Raises DeveloperError for other types."""
    if every is None and model:
        every = EVERY_SECONDS
    if given is None:
        return Filler(None, after, every) if model else None
    texts = _texts(given)
    return Filler(texts, after, every) if texts else None


def _texts(given: object) -> tuple[str, ...]:
    if given is False:
        return ()
    texts = (given,) if isinstance(given, str) else given
    if not isinstance(texts, Sequence) or not all(isinstance(text, str) for text in texts):
        raise DeveloperError(f"VoiceAgent filler={given!r}: expected a text, a list of texts, or False for none.")
    return tuple(text for text in texts if not is_blank(text))


def is_offline(agent: Any, model: Any) -> bool:
    """Return whether a PydanticAI agent answers from its offline script; `model` overrides the agent's own."""
    model = model or (agent.model if agent is not None else None)
    return model is None or getattr(model, "model_name", "") == FREE_MODEL

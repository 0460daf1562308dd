"""Build an agent's filler, the words that it says during a silence, from the arguments of `VoiceAgent`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeAlias

from ..conversation.fillers import Filler
from ..journal.cost import FREE_MODEL
from .models import given_model, selects_model
from .tool_policy import ToolPolicy, texts_of

FillerTexts: TypeAlias = "str | Sequence[str] | Literal[False] | None"
"""A text, several texts, False for no filler, or None for the default."""
EVERY_SECONDS = 3.5


def filler_of(
    given: FillerTexts, after: float, every: float | None, *, model: bool, tools: Mapping[str, ToolPolicy]
) -> Filler | None:
    """Return the filler of an agent; None if the agent speaks no fillers.

    `model` tells whether a model answers. Without a model, `given=None` means no fillers.

    Raises DeveloperError if `given` has a type other than FillerTexts.
    """
    if every is None and model:
        every = EVERY_SECONDS
    own = {name: policy.texts for name, policy in tools.items() if policy.texts}
    if given is None:
        return Filler(None, after, every, own) if model else None
    texts = texts_of("VoiceAgent filler", given)
    return Filler(texts, after, every, own) if texts or own else None


def offline_filler(filler: Filler | None) -> Filler | None:
    """Return the filler without default texts, because an offline script answers at once. Tools keep their texts."""
    if filler is None or filler.texts is not None:
        return filler
    return replace(filler, texts=()) if filler.tools else None


def is_offline(agent: Any, model: Any) -> bool:
    """Return whether an agent has no model, or answers from its offline script. `model` overrides the agent's model."""
    if model is None and selects_model(agent):
        return False
    model = model or given_model(agent)
    return model is None or getattr(model, "model_name", "") == FREE_MODEL

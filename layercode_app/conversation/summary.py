"""The running summary of the earlier turns of a long call. The model receives it before the newer turns.

It is kept in the conversation's state. Its text stays the same until a newer summary replaces it. So consecutive
requests begin with the same text, which the provider's prompt cache can serve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ..exceptions import DeveloperError
from ..journal.record import Json, TurnRecord
from ..journal.stores.base import tokens_of
from ..journal.stores.history_steps import KEPT_SHARE, SUMMARY
from ..journal.tokens import CHARACTERS_PER_TOKEN

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage

SUMMARY_SHARE = 0.125
"""The share of the history's token budget that a summary may use."""
DUE_SHARE = 0.85
"""The older turns are summarised when all turns together exceed this share of the token budget for turns.

The share is less than 1, so that turns are summarised while all of them still fit the budget.
"""
FACTS_SHARE = 0.5
"""The share of a summary that its facts may use."""


@dataclass(frozen=True)
class Summary:
    """What was said earlier in a call.

    Args:
        text: What happened, in a few sentences.
        facts: Facts, numbers and promises, word for word.

    Raises DeveloperError for an argument of the wrong type.

    """

    text: str
    facts: Sequence[str] = ()

    def __post_init__(self) -> None:
        facts: object = self.facts
        if not isinstance(self.text, str):
            raise DeveloperError(f"Summary text={self.text!r}: expected a text.")
        # A text is a sequence, too, but of letters.
        if (
            isinstance(facts, str)
            or not isinstance(facts, Sequence)
            or not all(isinstance(fact, str) for fact in facts)
        ):
            raise DeveloperError(f"Summary facts={facts!r}: expected a list of texts, such as ['order number 1042'].")


@dataclass(frozen=True)
class KeptSummary:
    """A summary in the journal: it covers all turns up to the position `until`."""

    until: int
    summary: Summary

    def to_json(self) -> Json:
        """Return the summary as JSON for the conversation's state."""
        return {"until": self.until, "text": self.summary.text, "facts": list(self.summary.facts)}

    def messages(self) -> list[ModelMessage]:
        """Return the summary as messages for the model."""
        from pydantic_ai.messages import ModelRequest, UserPromptPart

        facts = "".join(f"\n- {fact}" for fact in self.summary.facts)
        listed = f"\nFacts, word for word:{facts}" if facts else ""
        return [ModelRequest(parts=[UserPromptPart(f"[Earlier in this call: {self.summary.text}{listed}]")])]


Covered: TypeAlias = "KeptSummary | None"


def summary_in(state: Mapping[str, Json]) -> Covered:
    """Return the summary in a conversation's state, or None."""
    kept = state.get(SUMMARY)
    if kept is None:
        return None
    return KeptSummary(int(kept["until"]), Summary(str(kept["text"]), tuple(map(str, kept["facts"]))))


def tokens_of_turns(history_tokens: int) -> int:
    """Return the part of the history's token budget that a summary leaves for the turns."""
    return int(history_tokens * (1 - SUMMARY_SHARE))


def uncovered(history: Sequence[TurnRecord], kept: Covered) -> Sequence[TurnRecord]:
    """Return the turns that the summary does not cover, but at least the newest turn."""
    if kept is None:
        return history
    return [turn for turn in history if turn.position > kept.until] or history[-1:]


def due(past: Sequence[TurnRecord], newest: TurnRecord, history_tokens: int) -> int:
    """Return the position up to which the turns should be summarised now; 0 if no summary is due."""
    budget = tokens_of_turns(history_tokens)
    left = budget * KEPT_SHARE - tokens_of(newest)
    sizes = [tokens_of(turn) for turn in past]
    if sum(sizes) + tokens_of(newest) <= budget * DUE_SHARE:
        return 0
    until = 0
    for turn, size in zip(reversed(past), reversed(sizes), strict=True):
        left -= size
        if left < 0:
            until = turn.position
            break
    return until


def bounded(summary: Summary, history_tokens: int) -> Summary:
    """Shorten the summary to its share of the budget: keep the newest facts that fit, and cut the end of the text."""
    room = int(history_tokens * SUMMARY_SHARE * CHARACTERS_PER_TOKEN)
    facts: list[str] = []
    left = int(room * FACTS_SHARE)
    for fact in reversed(summary.facts):
        if len(fact) + 3 > left:
            continue  # A single long fact must not crowd out all others.
        left -= len(fact) + 3
        facts.insert(0, fact)
    used = sum(len(fact) + 3 for fact in facts)
    return Summary(summary.text[: max(room - used - 60, 0)], facts)

"""Notes of a caller, kept from call to call in the journal, under an id of their own."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..blank import is_blank
from ..journal.forget import caller_id, notes_of
from ..journal.stores.base import Store

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage

MOST_NOTES = 50
"""The most notes of one caller that a model gets: the newest ones."""
LONGEST_NOTE = 500
"""Maximum characters of a note."""


@dataclass
class CallerNotes:
    """What is known of a caller from earlier calls, and what this turn adds.

    `key` is what `remember` returned for the caller.
    """

    key: str
    facts: Sequence[str] = ()
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def add(self, fact: str) -> None:
        """Keep a fact for the caller's next calls; it is written when the turn ends."""
        if not is_blank(fact):
            self.added.append(fact[:LONGEST_NOTE])

    def remove(self, fact: str) -> None:
        """Forget a fact, as it is written in `facts`, when the turn ends."""
        self.removed.append(fact)

    def messages(self) -> list[ModelMessage]:
        """Return the notes as the model gets them."""
        if not self.facts:
            return []
        from pydantic_ai.messages import ModelRequest, UserPromptPart

        listed = "".join(f"\n- {fact}" for fact in self.facts)
        return [ModelRequest(parts=[UserPromptPart(f"[Known of the caller from earlier calls:{listed}]")])]


async def read_notes(store: Store, key: str) -> CallerNotes:
    """Return the newest notes of a caller, oldest first."""
    return CallerNotes(key, (await notes_of(store, key))[-MOST_NOTES:])


async def write_notes(store: Store, key: str, added: Iterable[str], removed: Iterable[str] = ()) -> None:
    """Add and remove facts. Each is a field of its own, so that two calls of the same caller lose none."""
    known = (await store.conversation(caller_id(key))).state
    gone = {_field(fact): {"at": 0.0, "text": ""} for fact in removed if _field(fact) in known}
    now = time.time()
    new = {
        _field(fact): {"at": now + number / 1e6, "text": fact}
        for number, fact in enumerate(dict.fromkeys(added))
        if not known.get(_field(fact), {}).get("text")
    }
    if gone or new:
        await store.save_state(caller_id(key), gone | new)


def _field(fact: str) -> str:
    return hashlib.sha256(" ".join(fact.split()).casefold().encode()).hexdigest()[:16]

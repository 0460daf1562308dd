"""A conversation as the journal has it."""

from __future__ import annotations

from ..exceptions import NotRecordedError
from .record import TurnRecord
from .stores.base import Store


async def turns_of(store: Store, conversation_id: str, *, bodies: bool = False) -> list[TurnRecord]:
    """The records of a conversation, oldest first. Raises NotRecordedError."""
    found = [record async for record in store.turns(conversation_id=conversation_id, bodies=bodies)]
    if not found:
        raise NotRecordedError(
            f"Conversation {conversation_id!r} is not in the journal ({store.component}). `sessions list` shows which are."
        )
    return found

"""The states of the conversations that have a running turn or tool in this worker."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from ..journal.record import Json, Status, TurnRecord
from ..journal.stores.base import Store
from .state import LiveState


class LiveStates:
    """Share one state object among everything that runs in a conversation at the same time, and save it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._states: dict[str, LiveState[Any]] = {}

    def enter(
        self, kind: type[BaseModel] | None, conversation_id: str, stored: dict[str, Json]
    ) -> LiveState[Any] | None:
        """Return the state of a conversation; None for an agent without state.

        Each `enter` needs one `leave`.
        """
        if kind is None:
            return None
        state = self._states.get(conversation_id)
        if state is None:
            state = self._states[conversation_id] = LiveState.load(kind, stored, conversation_id)
        state.users += 1
        return state

    async def leave(self, record: TurnRecord, state: LiveState[Any] | None, stopped: Status | None) -> None:
        """Save a turn together with its changes to the state, and release the state.

        The changes of a cancelled tool are rolled back first.
        """
        if state is None:
            await self._store.save(record)
            return
        if stopped is not None and any(call.status == "cancelled" for call in record.tools):
            state.roll_back()
        try:
            await self.save(record, state)
        finally:
            self._let_go(record.conversation_id, state)

    async def release(self, conversation_id: str, state: LiveState[Any] | None) -> None:
        """Save the changes that a tool made after its turn ended, and release the state."""
        if state is None:
            return
        try:
            changes = state.changes()
            if changes:
                await self._store.save_state(conversation_id, changes)
                state.mark_saved(changes)
        finally:
            self._let_go(conversation_id, state)

    def _let_go(self, conversation_id: str, state: LiveState[Any]) -> None:
        state.users -= 1
        if not state.users:
            self._states.pop(conversation_id, None)

    async def save(self, record: TurnRecord, state: LiveState[Any] | None) -> None:
        """Save the turn's current record together with the changes to the state so far."""
        changes = state.changes() if state else {}
        if state is not None:
            record.state = state.model.model_dump(mode="json")
        await self._store.save(record, state=changes)
        if state is not None:
            state.mark_saved(changes)

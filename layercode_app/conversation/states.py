"""The states of the conversations that this worker has in hand."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from .record import Json, Status, TurnRecord
from .state import LiveState
from .stores.base import Store


class LiveStates:
    """Hands the same state object to everything that runs in a conversation at once, and saves it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._states: dict[str, LiveState[Any]] = {}

    def enter(
        self, kind: type[BaseModel] | None, conversation_id: str, stored: dict[str, Json]
    ) -> LiveState[Any] | None:
        """The state of a conversation; None for an agent without one. Each `enter` needs one `leave`."""
        if kind is None:
            return None
        state = self._states.get(conversation_id)
        if state is None:
            state = self._states[conversation_id] = LiveState.load(kind, stored, conversation_id)
        state.users += 1
        return state

    async def leave(self, record: TurnRecord, state: LiveState[Any] | None, stopped: Status | None) -> None:
        """Save a turn together with what it changed in the state; a cancelled tool's changes are undone first."""
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
        """Save what a tool that outlived its turn did to the state, and let go of it."""
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
        """Save a turn as it stands, together with what changed in the state so far."""
        changes = state.changes() if state else {}
        if state is not None:
            record.state = state.model.model_dump(mode="json")
        await self._store.save(record, state=changes)
        if state is not None:
            state.mark_saved(changes)

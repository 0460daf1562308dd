"""The states of the conversations that have a running turn or tool in this worker."""

from __future__ import annotations

from typing import Any

from loguru import logger
from pydantic import BaseModel

from ..exceptions import StoreError
from ..jobs.late_saves import LateSaves
from ..journal.record import Json, TurnRecord
from ..journal.stores.base import Store
from ..observability.errors import category_of
from .flow import Flow
from .state import LiveState


class LiveStates:
    """Shares one state object among all turns and tools that run in a conversation at the same time, and saves it."""

    def __init__(self, store: Store, late: LateSaves) -> None:
        self._store = store
        self._late = late
        self._states: dict[tuple[str, str], LiveState[Any]] = {}

    def enter(
        self,
        kind: type[BaseModel] | None,
        conversation_id: str,
        stored: dict[str, Json],
        scope: str,
        *,
        received: float,
    ) -> LiveState[Any] | None:
        """Return the shared state of a conversation, with the changes that other workers saved.

        Return None for an agent without state. `stored` is the stored state, which was read after the time `received`.
        `scope` is the prefix of the agent's keys in it. Each `enter` needs one `leave` or `let_go`. Raises StateError
        if the stored fields do not fit `kind`.
        """
        if kind is None:
            return None
        state = self._states.get((conversation_id, scope))
        if state is None or state.forgotten(stored, received):
            state = LiveState.load(kind, stored, conversation_id, scope)
            self._states[conversation_id, scope] = state
        else:
            state.take_over(stored, received)
        state.users += 1
        return state

    async def leave(self, record: TurnRecord, state: LiveState[Any] | None, flow: Flow | None = None) -> None:
        """Save a turn together with its changes to the state, and release the state."""
        try:
            await self._save(record, state, flow, _reset_unsavable(record, state))
        finally:
            self.let_go(record.conversation_id, state)

    async def save_late(self, record: TurnRecord, state: LiveState[Any] | None, flow: Flow | None = None) -> None:
        """Save the changes that a tool made to the state after its turn ended, unless the turn has been deleted."""
        fields = _reset_unsavable(record, state)
        changes = state.changes(fields) if state else {}
        moved = await self._moves_still_due(record, flow) if flow else {}
        if (changes or moved) and await self._late.save_state(record.key, changes | moved):
            _mark_saved(state, changes, flow, moved)

    async def leave_early(self, record: TurnRecord, state: LiveState[Any] | None) -> None:
        """Save the unsaved changes of an agent that handed the turn over, and release its state.

        If the journal is unavailable, log the error and go on, because the other agent can answer.
        """
        try:
            await self.save_late(record, state)
        except StoreError as error:
            logger.error("Changes to the state of an agent that handed the call over are lost: {}", error)
        finally:
            self.let_go(record.conversation_id, state)

    async def _moves_still_due(self, record: TurnRecord, flow: Flow) -> dict[str, Json]:
        """Return the changes of stage or agent that a tool made after its turn ended.

        A change is left out if a newer turn has changed the same stage or agent.
        """
        moved = flow.changes()
        if not moved or self._late.pending(record.key) is not None:
            return moved
        stored = (await self._store.conversation(record.conversation_id)).state
        return {key: value for key, value in moved.items() if flow.is_saved(key, stored)}

    def let_go(self, conversation_id: str, state: LiveState[Any] | None) -> None:
        """Release the state without saving it."""
        if state is None:
            return
        state.users -= 1
        key = conversation_id, state.scope
        if not state.users and self._states.get(key) is state:
            del self._states[key]

    async def save(self, record: TurnRecord, state: LiveState[Any] | None, flow: Flow | None = None) -> bool:
        """Save the turn's record as it is now, together with the unsaved changes of `state` and `flow`.

        Return whether both were saved; see `Store.save`.
        """
        return await self._save(record, state, flow, state.savable()[0] if state else {})

    async def _save(
        self, record: TurnRecord, state: LiveState[Any] | None, flow: Flow | None, fields: dict[str, Json]
    ) -> bool:
        """Save the record and the unsaved changes. `fields` are the current fields of the state."""
        changes = state.changes(fields) if state else {}
        moved = flow.changes() if flow else {}
        if state is not None:
            record.state = fields
        saved = await self._store.save(record, state=changes | moved if moved else changes)
        if saved:
            _mark_saved(state, changes, flow, moved)
        elif state is not None:
            state.refused = True
        return saved


def _reset_unsavable(record: TurnRecord, state: LiveState[Any] | None) -> dict[str, Json]:
    """Reset the fields that cannot be saved, so that the turn can end, and note the error.

    Return the fields as the journal keeps them.
    """
    if state is None:
        return {}
    fields, error = state.reset_unsavable()
    if error is not None and record.error is None:
        record.error, record.error_category = type(error).__name__, category_of(error)
        logger.error("A part of the state is lost: {}", error)
    return fields


def _mark_saved(
    state: LiveState[Any] | None, changes: dict[str, Json], flow: Flow | None, moved: dict[str, Json]
) -> None:
    if state is not None:
        state.mark_saved(changes)
    if flow is not None:
        flow.mark_saved(moved)

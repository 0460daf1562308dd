"""The states of the conversations that have a running turn or tool in this worker."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from loguru import logger
from pydantic import BaseModel

from ..exceptions import StoreError
from ..jobs.late_saves import LateSaves
from ..journal.merge_state import Write, save_merged
from ..journal.record import Json, TurnRecord
from ..journal.stores.base import Store
from ..observability.errors import category_of
from .flow import Flow, own_fields
from .state import LiveState


class Changes:
    """The unsaved changes of a turn to its state, and to the conversation's agent and stage.

    `values` are the changes, and `based_on` the values before them, by their keys in the journal. `fields` are the
    current fields of the state.
    """

    def __init__(self, state: LiveState[Any] | None, flow: Flow | None, fields: dict[str, Json]) -> None:
        self.state, self._flow, self._fields = state, flow, fields
        self._changed = state.changes(fields) if state else {}
        self._moved = flow.changes() if flow else {}
        self.values = self._changed | self._moved
        self.based_on = (state.based_on() if state else {}) | (flow.based_on() if flow else {})

    def fitted(self, values: dict[str, Json], stored: Mapping[str, Json]) -> dict[str, Json] | None:
        """Return merged values as the state would save them; None if the state cannot be loaded with them."""
        return values if self.state is None else self.state.fitted(values, stored)

    def note_in(self, record: TurnRecord, values: dict[str, Json]) -> None:
        """Note the whole state in the record of the turn. `values` are the changes, or what they were merged to."""
        if self.state is None:
            return
        record.state = self._fields
        if values is not self.values:
            record.state = self._fields | own_fields({key: values[key] for key in self._changed}, self.state.scope)

    def mark_saved(self, written: dict[str, Json]) -> None:
        """Mark the changes as saved. `written` are the values that were saved."""
        if self.state is not None:
            self.state.mark_saved(self._changed, written)
        if self._flow is not None:
            self._flow.mark_saved(self._moved, written)


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
        changes = Changes(state, flow, _reset_unsavable(record, state))
        if changes.values:
            await self._write(record, changes, partial(self._late.save_state, record.key))

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
        changes = Changes(state, flow, fields)

        async def write(*, state: dict[str, Json], based_on: Mapping[str, Json] | None) -> bool:
            changes.note_in(record, state)
            return await self._store.save(record, state=state, based_on=based_on)

        saved = await self._write(record, changes, write)
        if not saved and state is not None:
            state.refused = True
        return saved

    async def _write(self, record: TurnRecord, changes: Changes, write: Write) -> bool:
        """Save changes with `write`, merged with what other turns have saved meanwhile; return whether it was done."""
        written = await save_merged(self._store, record, changes.values, changes.based_on, write, fitted=changes.fitted)
        if written is not None:
            changes.mark_saved(written)
        return written is not None


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

"""Undo the changes of cancelled tools to values that other tools and turns share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..journal.merge_state import MISSING
from ..wellformed import same_json


@dataclass(slots=True)
class _Change:
    before: Any
    by: frozenset[object]
    """The tools and data events that were running when the value changed."""


class Undo:
    """Decides which values are restored when a tool or a data event is cancelled.

    The rule: the latest changes of a value are undone if only cancelled tools and data events made them. It is not
    known which tool has changed a value. So the values are compared whenever a tool or a data event begins or ends. If
    a comparison finds a change, the change is attributed to all tools and data events that were running between the
    previous comparison and this one. A change is kept if it may have been made by a tool that still runs, or by one
    that ended without being cancelled: it is worse to lose an order that was placed than to keep a part of an order
    that was cancelled. The changes of hooks and guards are kept, too; see `lasting`.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._seen = dict(values)
        self._running: set[object] = set()
        self._cancelled: set[object] = set()
        self._changes: dict[str, list[_Change]] = {}

    @property
    def busy(self) -> bool:
        """Whether a tool or a data event is running. If that work is cancelled, its changes are undone."""
        return bool(self._running)

    def begin(self, work: object, values: Mapping[str, Any]) -> None:
        """Record that a tool or a data event begins.

        `values` are the current values by their keys, such as the fields of a state. The other methods also
        get the current values.
        """
        self.compare(values)
        self._running.add(work)

    def end(self, work: object, values: Mapping[str, Any]) -> list[str]:
        """Record that this work has ended. From now on, no cancellation undoes its changes.

        Return the keys that it changed, added or removed. Do nothing if the work was cancelled.
        """
        if work not in self._running:
            return []
        self.compare(values)
        changed = []
        for name, changes in self._changes.items():
            last = max((number for number, change in enumerate(changes) if work in change.by), default=-1)
            if last >= 0:
                changed.append(name)
            del changes[: last + 1]
        self._forget(work)
        return changed

    def cancel(self, work: object, values: Mapping[str, Any]) -> dict[str, Any]:
        """Record that a tool or a data event was cancelled, and return the values to restore.

        The value of a key that the cancelled work added is `MISSING`.
        """
        self.compare(values)
        self._cancelled.add(work)
        restored = {}
        for name, changes in self._changes.items():
            while changes and changes[-1].by <= self._cancelled:
                restored[name] = changes.pop().before
        self._seen |= restored
        self._forget(work)
        return restored

    def keep(self, key: str, value: Any) -> None:
        """Record a new value that stays even if all running work is cancelled."""
        self._seen[key] = value
        self._changes.pop(key, None)

    def compare(self, values: Mapping[str, Any]) -> None:
        """Find the fields that changed since the last call of `compare` or `settle`.

        Attribute these changes to the tools and data events that are running now.
        """
        self._compare(values, frozenset(self._running))

    def settle(self, values: Mapping[str, Any]) -> None:
        """Find the fields that changed since the last call of `compare` or `settle`, and keep these changes for good.

        Call this function if neither a tool nor a data event made the changes. No cancellation undoes them later.
        """
        self._compare(values, frozenset())

    def _compare(self, values: Mapping[str, Any], by: frozenset[object]) -> None:
        removed = {name: MISSING for name in self._seen if name not in values}
        values = {**values, **removed}
        for name, now in values.items():
            before = self._seen.get(name, MISSING)
            if same_json(before, now):
                continue
            if by:
                self._changes.setdefault(name, []).append(_Change(before, by))
            else:
                self._changes.pop(name, None)
        self._seen |= values

    def _forget(self, work: object) -> None:
        self._running.discard(work)
        if not self._running:
            self._cancelled.clear()
            self._changes.clear()

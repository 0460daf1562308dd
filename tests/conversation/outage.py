"""An outage of the journal that begins when a turn ends: the turn could begin, but its end cannot be saved."""

from __future__ import annotations

from typing import Any

from layercode_app import LayerCode
from layercode_app.exceptions import StoreError
from layercode_app.journal.record import TurnRecord


class Outage:
    """An outage in which the given apps cannot save turns that have ended. It lasts until a test sets `over`.

    If a test sets `saves_left`, the outage also ends after this number of failed saves.
    """

    def __init__(self, *apps: LayerCode) -> None:
        self.over = False
        self.saves_left: int | None = None
        """The number of saves that still fail; None if all fail until `over`."""
        for app in apps:
            self._reach(app)

    def _reach(self, app: LayerCode) -> None:
        save = app.store.save

        async def unless_away(record: TurnRecord, **named: Any) -> bool:
            if record.finished and not self.over:
                if self.saves_left is not None:
                    self.saves_left -= 1
                    self.over = self.saves_left <= 0
                raise StoreError("away")
            return await save(record, **named)

        app.store.save = unless_away  # type: ignore[method-assign]

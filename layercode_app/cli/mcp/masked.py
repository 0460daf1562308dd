"""Mask personal details in the texts that an assistant gets.

Details are masked as in `sessions export`, and names are replaced as in `replay --promote`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...emulator.playground.figures import whole
from ...journal.record import Json, TurnRecord
from ...journal.record_json import from_json, to_json
from ...observability.privacy import caller_secrets
from ...observability.privacy.caller_secrets import is_secret_name
from ...observability.privacy.masked_export import masked_rows, redact
from ...observability.privacy.masking import MASK
from ...replay.replacements import StandIns
from ...reports.conversations import turn_json
from ...reports.explain import explain_json

OURS = frozenset((
    "turn_id", "session_id", "trace_id", "conversation_id", "number", "version", "kind", "status", "started_at", "agent",
    "model", "models", "usage", "impact", "totals",
))  # fmt: skip
"""Fields of a row that are not masked, because they hold no words of the caller.

An agent's data may have fields with the same names, which may hold such words. These fields are masked.
"""
LEFT_OUT = ("requests", "record", "said", "heard_until", "diff", "failure")
"""Fields that are left out: they repeat the words in pieces, or are long and useless to an assistant."""


class Masked:
    """Masks the texts of one conversation.

    It learns which names and secrets to mask from all turns of the conversation. The turns must include their bodies.
    """

    def __init__(self, turns: Sequence[TurnRecord]) -> None:
        for turn in turns:
            caller_secrets.remember(turn.metadata)
        self._stand_ins = StandIns(turns)

    def turns(self, turns: Sequence[TurnRecord]) -> list[Json]:
        """Mask turns, and return them in the format of `sessions show --json`, without the fields in LEFT_OUT."""
        rows = from_json(to_json([turn_json(turn) | {"record": whole(turn)} for turn in turns]))
        return [self.row(row) for row in masked_rows(rows)]

    def explained(self, turn: TurnRecord) -> Json:
        """Mask a turn, and return it in the format of `sessions explain --json`, without the fields in LEFT_OUT."""
        return self.row(from_json(to_json(explain_json(turn))))

    def row(self, row: Mapping[str, Json]) -> dict[str, Json]:
        """Mask every field of a row except those in OURS, and remove those in LEFT_OUT."""
        return {
            name: value if name in OURS else self.value(value, name)
            for name, value in row.items()
            if name not in LEFT_OUT
        }

    def value(self, value: Json, name: str = "") -> Json:
        """Mask personal details and secrets in a value, and in the names of its fields."""
        if isinstance(value, Mapping):
            return {str(self.value(str(key))): self.value(item, str(key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item, name) for item in value]
        shown: Any = redact(value, name=name)
        if isinstance(shown, str):
            return MASK if is_secret_name(name) else MASK.join(map(self._stand_ins.caller, shown.split(MASK)))
        if isinstance(shown, int) and not isinstance(shown, bool):
            return shown if self._stand_ins.caller(str(shown)) == str(shown) else MASK
        return shown

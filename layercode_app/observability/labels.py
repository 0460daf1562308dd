"""Limit the label values that a sink stores: readable, short, and bounded in number."""

from __future__ import annotations

from ..output.visible import shortened

MOST_SETS = 1000
"""Maximum sets of label values per metric and process. Each is a series until the process ends."""
LONGEST = 200
OTHER = "(other)"
"""The label value for every new set beyond MOST_SETS."""

Values = tuple[str, ...]


class Labels:
    """The sets of label values that a sink has seen."""

    def __init__(self) -> None:
        self._known: dict[str, dict[Values, Values]] = {}

    def of(self, metric: str, values: Values) -> Values:
        """Return the values to store. A model or a caller may have chosen them, and may choose new ones every turn."""
        known = self._known.setdefault(metric, {})
        found = known.get(values)
        if found is not None:
            return found
        if len(known) >= MOST_SETS:
            return (OTHER,) * len(values)
        return known.setdefault(values, tuple(shortened(value, LONGEST) for value in values))

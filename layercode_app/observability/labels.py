"""Values of labels as a sink may keep them: readable, short, and of a bounded number."""

from __future__ import annotations

from ..output.visible import shortened

MOST_SETS = 1000
"""Sets of label values per metric and process. Each is a series for as long as the process runs."""
LONGEST = 200
OTHER = "(other)"
"""What a new set is counted under once there are too many."""

Values = tuple[str, ...]


class Labels:
    """The sets of label values that a sink has seen."""

    def __init__(self) -> None:
        self._known: dict[str, dict[Values, Values]] = {}

    def of(self, metric: str, values: Values) -> Values:
        """The values to keep. A model or a caller may have chosen them, and may choose others every turn."""
        known = self._known.setdefault(metric, {})
        found = known.get(values)
        if found is not None:
            return found
        if len(known) >= MOST_SETS:
            return (OTHER,) * len(values)
        return known.setdefault(values, tuple(shortened(value, LONGEST) for value in values))

"""Mask the label values that a sink stores, and limit their length and number."""

from __future__ import annotations

from ..output.visible import shortened
from .privacy import masking

MOST_SETS = 1000
"""Maximum sets of label values per metric and process. Each set is a time series until the process ends."""
LONGEST = 200
OTHER = "(other)"
"""The value of all labels in a new set, if MOST_SETS sets are already known."""

Values = tuple[str, ...]


class Labels:
    """Maps the label values of each metric to the values that a sink stores: masked, short, and limited in number."""

    def __init__(self) -> None:
        self._known: dict[str, dict[Values, Values]] = {}

    def of(self, metric: str, values: Values) -> Values:
        """Return the label values to store for a metric, masked and shortened.

        If MOST_SETS different sets of values are already known for the metric, each value of a new set becomes OTHER.
        Without this limit, models and callers that choose new values in every turn could fill the memory.
        """
        known = self._known.setdefault(metric, {})
        found = known.get(values)
        if found is not None:
            return found
        if len(known) >= MOST_SETS:
            return (OTHER,) * len(values)
        return known.setdefault(values, tuple(shortened(masking.clean(value), LONGEST) for value in values))

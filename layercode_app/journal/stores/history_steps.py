"""Trim the history of a conversation in steps, so that consecutive requests to a model share their beginning.

Providers cache the beginning of a request. If each turn dropped the oldest one, no request would begin as the one
before. So a turn's history begins where the history of the turn before began, until it exceeds the budget; then it is
cut to half the budget. Each turn's record holds the position at which its history began, so all workers cut alike.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

SUMMARY = "layercode.summary"
"""The key in the conversation's state of the summary of older turns, with the position `until` that it covers."""
KEPT_SHARE = 0.5
"""The share of the budget that a cut leaves. A smaller one makes cuts rarer, but forgets more at each."""


def first_of(positions: Sequence[int], tokens: Sequence[int], starts: Iterable[int], budget: int) -> int:
    """Return the index at which the history begins, among the newest turns that fit the budget, oldest first.

    `starts` yields where the histories of these turns began, from the newest turn to the oldest; 0 is unknown. If none
    of them is known, the history begins at the first turn.
    """
    start = next(filter(None, starts), 0)
    if not start:
        return 0
    place = bisect_left(positions, start)
    if place < len(positions) and positions[place] == start:
        return place
    return _cut(tokens, budget * KEPT_SHARE)


def _cut(tokens: Sequence[int], budget: float) -> int:
    """Return the index of the first of the newest turns that fit the budget; at least the newest one does."""
    place = len(tokens)
    while place > 0 and tokens[place - 1] <= budget:
        place -= 1
        budget -= tokens[place]
    return min(place, len(tokens) - 1)

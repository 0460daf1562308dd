"""Trim the history of a conversation in steps, so that consecutive requests to a model share their beginning.

Providers cache the beginning of a request. If each turn dropped the oldest turn, no request would begin like the
previous one. So a turn's history begins where the history of the previous turn began. When it exceeds the budget, it
is cut to half the budget. Each record stores where its turn's history began, so all workers cut at the same place.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

SUMMARY = "layercode.summary"
"""The key in a conversation's state for the summary of its older turns, up to the position `until`."""
KEPT_SHARE = 0.5
"""The share of the budget that is left after a cut. A smaller share makes cuts rarer, but each cut drops more."""


def first_of(positions: Sequence[int], tokens: Sequence[int], starts: Iterable[int], budget: int) -> int:
    """Return the index in `positions` of the turn at which the history begins.

    `positions` and `tokens` describe the newest turns that fit the budget, sorted from old to new. For each of these
    turns, sorted from new to old, `starts` yields the position at which the history of that turn began; 0 means
    unknown. The first known start counts. If it is among `positions`, the history begins there again. Otherwise the
    history is cut to `KEPT_SHARE` of the budget: it begins at the oldest turn that still fits, or at the newest turn if
    that turn alone is too large. If no start is known, the history begins at the first of `positions`.
    """
    start = next(filter(None, starts), 0)
    if not start:
        return 0
    place = bisect_left(positions, start)
    if place < len(positions) and positions[place] == start:
        return place
    return _cut(tokens, budget * KEPT_SHARE)


def _cut(tokens: Sequence[int], budget: float) -> int:
    """Return the index of the oldest turn that still fits the budget; the newest turn is always included."""
    place = len(tokens)
    while place > 0 and tokens[place - 1] <= budget:
        place -= 1
        budget -= tokens[place]
    return min(place, len(tokens) - 1)

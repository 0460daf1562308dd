"""Save changes to a conversation's state. Merge them if other turns have saved the same fields meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

from loguru import logger

from .record import Json, TurnRecord
from .record_json import sorted_json
from .stores.base import StateChangedError, Store

MISSING: Any = object()
"""Stands for the value of a key that does not exist: it is not added yet, or it was removed."""
REMOVED: Json = {"layercode.removed": True}
"""The stored value of an extra field that was removed from a state model. A key cannot be deleted from the journal."""
ATTEMPTS = 10
"""How often changes are merged if other turns save the same fields each time. Then the changes are saved anyway."""


Fitted: TypeAlias = Callable[[dict[str, Json], Mapping[str, Json]], dict[str, Json] | None]
"""Returns merged values as the model of a state dumps them, or None if they do not fit the model.

The second argument is the stored state, whose other fields the model would be loaded with.
"""


def as_they_are(values: dict[str, Json], stored: Mapping[str, Json]) -> dict[str, Json]:
    """Return merged values that no model has to fit."""
    return values


class Write(Protocol):
    """Saves changes to the state, as `Store.save` and `Store.save_state` do."""

    async def __call__(self, *, state: dict[str, Json], based_on: Mapping[str, Json] | None) -> bool:
        """Return whether the changes were saved. Raises StateChangedError."""


async def save_merged(
    store: Store,
    record: TurnRecord,
    state: dict[str, Json],
    based_on: Mapping[str, Json] | None,
    write: Write,
    *,
    fitted: Fitted = as_they_are,
) -> dict[str, Json] | None:
    """Save a turn's changes to the state, and return the values that were saved; None if `write` returned False.

    `based_on` are the values that the changed fields had before. If another turn has saved one of these fields
    meanwhile, the changes of both are merged. If both replaced the same value, the newer turn's value is kept, and a
    warning in the log names the field. If merged values do not fit the model, a field that both changed is treated as
    one value.
    """
    values, expected = state, based_on
    for _ in range(ATTEMPTS):
        try:
            return values if await write(state=values, based_on=expected) else None
        except StateChangedError:
            stored = (await store.conversation(record.conversation_id)).state
            wins = await is_newest(store, record)
            values, lost = _merge(based_on or {}, state, stored, wins=wins, fitted=fitted)
            expected = {name: stored[name] for name in state if name in stored}
            if lost:
                _warn(record, lost, wins=wins)
    return values if await write(state=values, based_on=None) else None


async def is_newest(store: Store, record: TurnRecord) -> bool:
    """Return whether the conversation has no later turn, which could have changed the state."""
    newest = await store.history(record.conversation_id, tokens=0)
    return not newest or newest[-1].position <= record.position


def _merge(
    base: Mapping[str, Json], mine: dict[str, Json], stored: Mapping[str, Json], *, wins: bool, fitted: Fitted
) -> tuple[dict[str, Json], list[str]]:
    """Return the merged fields, and the names of the fields in which a part of one change is lost."""
    merged, lost = _merge_fields(base, mine, stored, wins=wins, deep=True)
    values = fitted(merged, stored)
    if values is None:
        merged, lost = _merge_fields(base, mine, stored, wins=wins, deep=False)
        values = fitted(merged, stored) or merged
    # A computed field is computed again, so it is not lost.
    return values, [name for name in lost if values[name] == merged[name]]


def _merge_fields(
    base: Mapping[str, Json], mine: dict[str, Json], stored: Mapping[str, Json], *, wins: bool, deep: bool
) -> tuple[dict[str, Json], list[str]]:
    """Return the merged fields, and the names of the fields in which a part of one change is lost."""
    values, names = {}, []
    for name in mine:
        value, lost = merge(*(_known(fields, name) for fields in (base, mine, stored)), wins=wins, deep=deep)
        values[name] = REMOVED if value is MISSING else value
        names += [name] if lost else []
    return values, names


def _known(fields: Mapping[str, Json], name: str) -> Json:
    value = fields.get(name, MISSING)
    return MISSING if value == REMOVED else value


def merge(base: Json, mine: Json, theirs: Json, *, wins: bool, deep: bool = True) -> tuple[Json, bool]:
    """Merge two changes of the value `base`; return the result, and whether a part of one change is lost.

    Objects are merged key by key, and lists item by item, unless `deep` is false. If both changes replaced the same
    value, `mine` is kept if it `wins`.
    """
    if _equal(mine, base) or _equal(mine, theirs):
        return theirs, False
    if _equal(theirs, base):
        return mine, False
    if deep and isinstance(base, dict) and isinstance(mine, dict) and isinstance(theirs, dict):
        return _merge_objects(base, mine, theirs, wins=wins)
    if deep and isinstance(base, list) and isinstance(mine, list) and isinstance(theirs, list):
        merged = _merge_lists(base, mine, theirs)
        if merged is not None:
            return merged, False
    return (mine if wins else theirs), True


def _merge_objects(
    base: dict[str, Json], mine: dict[str, Json], theirs: dict[str, Json], *, wins: bool
) -> tuple[dict[str, Json], bool]:
    values, lost = {}, False
    for key in dict.fromkeys([*theirs, *mine]):
        value, lost_here = merge(*(each.get(key, MISSING) for each in (base, mine, theirs)), wins=wins)
        lost = lost or lost_here
        if value is not MISSING:
            values[key] = value
    return values, lost


def _merge_lists(base: list[Json], mine: list[Json], theirs: list[Json]) -> list[Json] | None:
    """Return a list with the changes of both; None if they cannot be told apart, or if both replaced the same item.

    Items that both added count once: `theirs` may be an earlier save of these changes whose answer was lost.
    """
    if _is_pure(base, mine) and _is_pure(base, theirs):
        added = _without(_without(mine, base), _without(theirs, base))
        return [*_without(theirs, _without(base, mine)), *added]
    if not (_keeps_places(base, mine) and _keeps_places(base, theirs)):
        return None
    merged = [merge(*items, wins=True, deep=False) for items in zip(base, mine, theirs, strict=False)]
    if any(lost for _, lost in merged):
        return None
    rest, rest_there = mine[len(base) :], theirs[len(base) :]
    return [*(item for item, _ in merged), *rest_there, *_without(rest, rest_there)]


def _is_pure(base: list[Json], changed: list[Json]) -> bool:
    """Return whether items were only added, or only removed."""
    fewer, more = sorted((base, changed), key=len)
    items = iter(map(sorted_json, more))
    return len(fewer) < len(more) and all(sorted_json(item) in items for item in fewer)


def _keeps_places(base: list[Json], changed: list[Json]) -> bool:
    """Return whether each old item is still at its place: either items were replaced, or new ones were appended."""
    return len(changed) == len(base) or (len(changed) > len(base) and _equal(changed[: len(base)], base))


def _equal(one: Json, other: Json) -> bool:
    """Return whether two values are the same JSON. Workers of another release may order the keys in another way."""
    if one is MISSING or other is MISSING:
        return one is other
    return sorted_json(one) == sorted_json(other)


def _without(items: list[Json], taken: list[Json]) -> list[Json]:
    """Return the items that are not in `taken`. An item that `taken` has once is left out once."""
    rest = Counter(map(sorted_json, taken))
    left = []
    for item in items:
        key = sorted_json(item)
        if rest[key]:
            rest[key] -= 1
        else:
            left.append(item)
    return left


def _warn(record: TurnRecord, lost: list[str], *, wins: bool) -> None:
    kept = "this turn" if wins else "the newer turn"
    logger.warning(
        "Turn {} and another turn changed the same values of the state; those of {} are kept: {}",
        record.turn_id,
        kept,
        ", ".join(lost),
    )

"""Update the private attributes of a state, such as an index that `model_post_init` makes, after fields are restored."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from .parts import deep_copy, is_container, parts_of, private_values


def follow_fields(model: BaseModel, before: BaseModel, restored: BaseModel) -> None:
    """Give `model` the private attributes of `restored` that depend on the fields that were just restored.

    `before` was loaded from the old values of the fields, and `restored` from the restored values. An attribute that is
    equal in `before` and `restored` does not depend on these fields, so it is not changed. Locks, clients and other
    objects that equal only themselves cannot be compared, so they are not changed.
    """
    old, new = private_values(before), private_values(restored)
    changed = {name: value for name, value in new.items() if not _equal(old.get(name), value)}
    if not changed:
        return
    try:
        copied = deep_copy(changed, _twins(model, restored))
    except Exception:  # noqa: BLE001 - the object's own code may raise anything
        copied = changed
    for name, value in copied.items():
        BaseModel.__setattr__(model, name, value)


def _equal(old: Any, new: Any) -> bool:
    compare: Any = type(new).__eq__
    if type(old) is type(new) and compare is object.__eq__:
        return True
    try:
        return bool(old == new)
    except Exception:  # noqa: BLE001 - such as an array, which is compared item by item
        return False


def _twins(model: BaseModel, restored: BaseModel) -> dict[int, Any]:
    """Map the id of each object in `restored` to the object at the same place in `model`.

    With this mapping, `deep_copy` copies a private attribute of `restored` so that the copy refers to the objects in
    `model`. Only models, collections and dataclasses are mapped.
    """
    twins: dict[int, Any] = {}
    waiting: list[tuple[Any, Any]] = [(model, restored)]
    while waiting:
        part, twin = waiting.pop()
        if type(part) is type(twin) and is_container(part) and id(twin) not in twins:
            twins[id(twin)] = part
            if not isinstance(part, set | frozenset):
                waiting += zip(parts_of(part), parts_of(twin), strict=False)
    return twins

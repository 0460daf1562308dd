"""The parts of a state: the values in its models, collections and dataclasses, at any depth."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

T = TypeVar("T")


def is_container(part: Any) -> bool:
    """Return whether `parts_of` can return the parts of this object."""
    return isinstance(part, BaseModel | dict | list | set | frozenset | tuple | deque) or is_dataclass(part)


def parts_of(part: Any) -> Iterable[Any]:
    """Return the values in a model, a collection or a dataclass."""
    if isinstance(part, BaseModel):
        extra = part.model_extra
        return [*vars(part).values(), *extra.values()] if extra else vars(part).values()
    if is_dataclass(part):
        return [getattr(part, field.name, None) for field in fields(part)]
    return part.values() if isinstance(part, dict) else part


def private_values(model: BaseModel) -> dict[str, Any]:
    """Return the values of the private attributes that are set, by their names."""
    return {name: getattr(model, name) for name in type(model).__private_attributes__ if hasattr(model, name)}


def deep_copy(contents: T, twins: dict[int, Any], own: dict[int, Any] | None = None) -> T:
    """Copy the contents at any depth.

    `twins` maps the id of an object in `contents` to a replacement: the result contains the replacement, not a copy of
    the object. `own` maps ids to replacements as well, but these are used only for objects that cannot be copied.
    If neither mapping has the id of an object that cannot be copied, the result contains the object itself.
    """
    try:
        return copy.deepcopy(contents, dict(twins))
    except Exception:  # noqa: BLE001 - the object's own code may raise anything
        stuck = _uncopyable(contents)
        stuck |= {key: value for key, value in (own or {}).items() if key in stuck}
        return copy.deepcopy(contents, twins | stuck)


def _uncopyable(contents: Any) -> dict[int, Any]:
    """Return the objects that cannot be copied, by their ids."""
    found: dict[int, Any] = {}
    seen, waiting = set[int](), [contents]
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if is_container(part):
            waiting += parts_of(part)
            waiting += private_values(part).values() if isinstance(part, BaseModel) else ()
        elif not _can_be_copied(part):
            found[id(part)] = part
    return found


def _can_be_copied(part: Any) -> bool:
    try:
        copy.deepcopy(part)
    except Exception:  # noqa: BLE001 - the object's own code may raise anything
        return False
    return True

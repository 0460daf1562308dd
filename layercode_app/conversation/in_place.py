"""Change a value into another one without replacing its objects, because a tool or a hook may hold one of them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


def changed_in_place(old: Any, new: Any) -> Any:
    """Return a value equal to `new`: `old` with the contents of `new` if both have the same type, else `new`.

    Models, dictionaries, lists and sets are changed in place, also those within each other.
    """
    if type(old) is not type(new):
        return new
    if isinstance(old, BaseModel):
        _change_model(old, new)
    elif isinstance(old, dict):
        _change_mapping(old, new)
    elif isinstance(old, list):
        kept = [changed_in_place(before, after) for before, after in zip(old, new, strict=False)]
        old[:] = kept + new[len(kept) :]
    elif isinstance(old, set):
        old.clear()
        old |= new
    else:
        return new
    return old


def _change_mapping(old: dict[Any, Any], new: dict[Any, Any]) -> None:
    for key in [key for key in old if key not in new]:
        del old[key]
    for key, value in new.items():
        old[key] = changed_in_place(old.get(key), value)


def _change_model(old: BaseModel, new: BaseModel) -> None:
    # `setattr` would refuse a frozen model, and validate a model while only some fields are changed.
    _change_mapping(vars(old), vars(new))
    if old.__pydantic_extra__ is not None and new.__pydantic_extra__ is not None:
        _change_mapping(old.__pydantic_extra__, new.__pydantic_extra__)

"""Change a Pydantic model until it equals another one, and keep the objects in it.

The objects are kept, because a tool or a hook may refer to them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

LONGEST = 100
"""The maximum length of a list whose items are kept where possible. In a longer list all items are replaced, because it
takes too long to find the items that are equal."""


class InPlace:
    """Changes the objects in `model` without replacing them: models, dictionaries, lists and sets, at any depth.

    An object that is at several places in the model is replaced at each place, because the new values may differ from
    place to place.
    """

    def __init__(self, model: BaseModel) -> None:
        times: Counter[int] = Counter()
        _count_parts(model, times)
        self._shared = {part for part, count in times.items() if count > 1}

    def changed(self, old: Any, new: Any) -> Any:
        """Return a value equal to `new`: `old` with the contents of `new` if possible, else `new` itself."""
        if type(old) is not type(new) or id(old) in self._shared:
            return new
        if isinstance(old, BaseModel):
            self._change_model(old, new)
        elif isinstance(old, dict):
            self._change_mapping(old, new)
        elif isinstance(old, list):
            old[:] = self._changed_list(old, new) if max(len(old), len(new)) <= LONGEST else new
        elif isinstance(old, set):
            old.clear()
            old |= new
        else:
            return new
        return old

    def _changed_list(self, old: list[Any], new: list[Any]) -> list[Any]:
        """Return a list equal to `new`, made of the items of `old` where possible.

        If an item of `new` equals an item of `old`, the old object is used. If the lists are equally long,
        every remaining item of `old` is changed in place until it equals the item of `new` at the same index.
        """
        rest: list[Any] = list(old)
        found: list[Any] = [_taken(rest, value) for value in new]
        left = {id(part) for part in rest}
        for number, value in enumerate(new):
            if found[number] is None:
                before = old[number] if len(old) == len(new) and id(old[number]) in left else None
                found[number] = self.changed(before, value)
        return found

    def _change_mapping(self, old: dict[Any, Any], new: dict[Any, Any]) -> None:
        for key in [key for key in old if key not in new]:
            del old[key]
        for key, value in new.items():
            old[key] = self.changed(old.get(key), value)

    def _change_model(self, old: BaseModel, new: BaseModel) -> None:
        # `setattr` would refuse a frozen model, and validate a model while only some fields are changed.
        self._change_mapping(vars(old), vars(new))
        if old.model_extra is not None and new.model_extra is not None:
            self._change_mapping(old.model_extra, new.model_extra)


def _taken(rest: list[Any], value: Any) -> Any:
    """Remove the first item that equals `value` from `rest`, and return the item; None if there is none."""
    for number, part in enumerate(rest):
        if type(part) is type(value) and part == value:
            return rest.pop(number)
    return None


def _count_parts(part: Any, times: Counter[int]) -> None:
    """Count how often each part that can be changed in place is reached."""
    if not isinstance(part, BaseModel | dict | list | set | tuple):
        return
    times[id(part)] += 1
    if times[id(part)] == 1:
        for within in _parts_of(part):
            _count_parts(within, times)


def _parts_of(part: Any) -> Iterable[Any]:
    if isinstance(part, BaseModel):
        return [*vars(part).values(), *(part.model_extra or {}).values()]
    return part.values() if isinstance(part, dict) else part

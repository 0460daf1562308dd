"""Change a model into another one and keep its parts, because a tool or a hook may hold one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

LONGEST = 100
"""The parts of a longer list are replaced, because finding the ones that stay takes too long."""


class InPlace:
    """Changes parts of `model`: models, dictionaries, lists and sets, also those within each other.

    A part that the model holds at several places is replaced, because it may have to differ there afterwards.
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
        """Return a list equal to `new`, with the parts of `old` that are equal to a part of `new`.

        If the lists are equally long, the other parts are changed in place.
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
    """Remove the first part that equals `value` from `rest`, and return it; None if there is none."""
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

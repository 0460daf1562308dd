"""Change a Pydantic model until it equals another one, and keep the objects in it.

The objects are kept, because a tool or a hook may refer to them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from ..wellformed import same_json
from .parts import is_container, parts_of
from .state_json import dump_model

LONGEST = 100
"""The maximum length of a list whose items are kept where possible. In a longer list all items are replaced, because it
takes too long to find the items that are equal."""


class OwnParts:
    """The objects that belong to one state alone: other code can refer to them only if it got them from this state.

    These objects are the models, dictionaries, lists and sets that were created when the state was loaded. An object
    that a tool or a hook has put into the state is not one of them: it may belong to the app, such as a product in a
    catalogue, which all callers share.
    """

    def __init__(self, model: BaseModel, load: Callable[[], BaseModel]) -> None:
        """Record the objects in `model`, which was just loaded.

        The method `ids` calls `load` to load the same state a second time, into another model.
        """
        # The objects are kept here, so that no new object gets the id of an object that was freed.
        self._parts = _changeable(model)
        self._load: Callable[[], BaseModel] | None = load

    def ids(self) -> set[int]:
        """Return the ids of the objects that belong to the state alone.

        The first call of this method loads the state a second time, into another model. Objects that are in both models
        do not belong to the state alone. The call may raise any error that a validator of the state raises.
        """
        if self._load is not None:
            # An object that is in both models was not created by loading either of them. It is a default value, or a
            # validator took it from elsewhere.
            for part in _changeable(self._load()):
                self._parts.pop(part, None)
            self._load = None
        return set(self._parts)


class InPlace:
    """Changes the objects in `model` without replacing them: models, dictionaries, lists and sets, at any depth.

    Only objects that belong to this model alone are changed; `own` has their ids (see `OwnParts`). Any other object is
    replaced by its new value. Two kinds of objects in `own` are replaced as well. An object that is at several places
    in the model is replaced at each place, because the new values may differ from place to place. A model within the
    model is replaced if it has private attributes and differs from its new value.
    """

    def __init__(self, model: BaseModel, own: set[int]) -> None:
        times: Counter[int] = Counter()
        _count_parts(model, times)
        self._own = {part for part in own if times[part] == 1}

    def changed(self, old: Any, new: Any) -> Any:
        """Return a value equal to `new`: `old` with the contents of `new` if possible, else `new` itself."""
        if type(old) is not type(new) or id(old) not in self._own:
            return new
        if isinstance(old, BaseModel):
            if type(old).__private_attributes__:
                # Change no fields here: private attributes, such as an index of the items, may depend on them.
                return old if old == new and same_json(dump_model(old)[0], dump_model(new)[0]) else new
            self._change_model(old, new)
        elif isinstance(old, dict):
            self._change_mapping(old, new)
        elif isinstance(old, list):
            old[:] = self._changed_list(old, new) if max(len(old), len(new)) <= LONGEST else new
        else:
            old.clear()
            old |= new
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
            if found[number] is None and len(old) == len(new) and id(old[number]) in left:
                found[number] = old[number]
            # An equal part may still differ: in the order of its keys, or by `True` instead of `1`.
            found[number] = self.changed(found[number], value)
        return found

    def _change_mapping(self, old: dict[Any, Any], new: dict[Any, Any]) -> None:
        before = dict(old)
        for key in before.keys() - new.keys():
            del old[key]
        if _keys(old) != _keys(new):
            old.clear()
        for key, value in new.items():
            old[key] = self.changed(before.get(key), value)

    def _change_model(self, old: BaseModel, new: BaseModel) -> None:
        # `setattr` would validate the model while only some fields are changed.
        self._change_mapping(vars(old), vars(new))
        if old.model_extra is not None and new.model_extra is not None:
            self._change_mapping(old.model_extra, new.model_extra)


def _keys(mapping: dict[Any, Any]) -> list[tuple[type, Any]]:
    """Return the keys in order, so that they can be compared. The types tell `True` from `1`."""
    return [(type(key), key) for key in mapping]


def _taken(rest: list[Any], value: Any) -> Any:
    """Remove the first item that equals `value` from `rest`, and return the item; None if there is none."""
    for number, part in enumerate(rest):
        if type(part) is type(value) and part == value:
            return rest.pop(number)
    return None


def _changeable(model: BaseModel) -> dict[int, Any]:
    """Return the model and the objects in it, as far as they can be changed in place. The keys are their ids.

    An object that can be hashed, such as a frozen model, is left out: like a str, it is never changed. Besides, several
    models may share it: Pydantic does not copy a field's default that can be hashed.
    """
    found: dict[int, Any] = {}
    waiting: list[Any] = [model]
    bases = _Bases()
    while waiting:  # a loop, because each turn does this, and calls of a function would take twice as long
        part = waiting.pop()
        base = bases[type(part)]
        if base is None or id(part) in found:
            continue
        found[id(part)] = part
        if base is BaseModel:
            waiting += vars(part).values()  # `parts_of` takes twice as long
            waiting += (part.model_extra or {}).values()
        elif base is dict:
            waiting += part.values()
        elif base is list and len(part) <= LONGEST:
            waiting += part
    return found


class _Bases(dict[type, type | None]):
    """Maps each type to its base class that can be changed in place: `BaseModel`, `dict`, `list` or `set`.

    The value is None if objects of the type cannot be changed in place.
    """

    def __missing__(self, kind: Any) -> type | None:
        self[kind] = None
        if kind.__hash__ is None:
            self[kind] = next((base for base in (BaseModel, dict, list, set) if issubclass(kind, base)), None)
        return self[kind]


def _count_parts(part: Any, times: Counter[int]) -> None:
    """Count how often `part`, and each container inside `part`, occurs. Add the counts to `times`, by the object's id.

    A container is a model, a collection or a dataclass. If the same container occurs several times, its contents are
    counted only once.
    """
    if not is_container(part):
        return
    times[id(part)] += 1
    if times[id(part)] == 1:
        for within in parts_of(part):
            _count_parts(within, times)

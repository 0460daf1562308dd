"""Sort the items of sets in the JSON of a model. Python's own order differs from process to process."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any
from weakref import WeakKeyDictionary

from pydantic import BaseModel, RootModel

from ..journal.record import Json
from ..wellformed import dump_json
from .set_types import field_may_hold_sets, names_sets


def with_sorted_sets(value: Any, dumped: Any) -> Json:
    """Sort the items of every set in `dumped`, the JSON of `value`. Return the sorted JSON."""
    if isinstance(value, RootModel):
        return with_sorted_sets(value.root, dumped)
    if isinstance(value, set | frozenset) and isinstance(dumped, list):
        return _sorted(value, dumped)
    if isinstance(value, list | tuple | deque) and isinstance(dumped, list):
        return _each(value, dumped)
    if isinstance(value, Mapping) and isinstance(dumped, dict):
        return dict(zip(dumped, _each(value.values(), dumped.values()), strict=True))
    if isinstance(value, BaseModel) and isinstance(dumped, dict):
        return _in_model(value, dumped)
    if is_dataclass(value) and isinstance(dumped, dict):
        return {key: with_sorted_sets(getattr(value, key, None), item) for key, item in dumped.items()}
    return dumped


def _sorted(value: Any, dumped: list[Json]) -> list[Json]:
    kinds = {type(item) for item in dumped}
    if kinds == {str} or kinds == {int}:
        return sorted(dumped)  # several times as fast as to sort by the JSON
    return sorted(_each(value, dumped), key=dump_json)


def _each(values: Any, dumped: Any) -> list[Json]:
    # A plain tool in another thread may change the collection meanwhile, or a serializer may have left items out.
    values = list(values)
    if len(values) != len(dumped):
        return list(dumped)
    return [
        with_sorted_sets(value, item) if isinstance(item, list | dict) else item
        for value, item in zip(values, dumped, strict=True)
    ]


def _in_model(model: BaseModel, dumped: dict[str, Json]) -> dict[str, Json]:
    names = _names_in(type(model))
    changed = {key: with_sorted_sets(getattr(model, names[key], None), dumped[key]) for key in names if key in dumped}
    # Iterate over a copy, because a plain tool in another thread may add extra fields meanwhile.
    extra = [(key, item) for key, item in dict(model.model_extra or {}).items() if key in dumped]
    return dumped | changed | {key: with_sorted_sets(item, dumped[key]) for key, item in extra}


_names: WeakKeyDictionary[type[BaseModel], dict[str, str]] = WeakKeyDictionary()
"""A cache of the results of `_names_in`. The keys are weak, so that classes that `dev` has replaced are freed."""


def _names_in(kind: type[BaseModel]) -> dict[str, str]:
    """Map keys in the JSON to the names of the model's fields that may contain sets. The keys are names and aliases.

    A field is included if its type leaves open whether its value contains sets, as the type `Any` does. A computed
    field of such a type is not included, because the search for sets would compute its value once more.
    """
    if kind not in _names:
        fields = {
            name: info.serialization_alias for name, info in kind.model_fields.items() if field_may_hold_sets(info)
        }
        computed = kind.model_computed_fields.items()
        fields |= {name: info.alias for name, info in computed if names_sets(info.return_type)}
        _names[kind] = {name: name for name in fields} | {alias: name for name, alias in fields.items() if alias}
    return _names[kind]

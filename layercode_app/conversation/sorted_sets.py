"""Sort the items of sets in the JSON of a model. Python's own order differs from process to process."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

from pydantic import BaseModel, RootModel

from ..journal.record import Json
from ..wellformed import dump_json


def with_sorted_sets(value: Any, dumped: Any) -> Json:
    """Return the JSON `dumped`, which was made from `value`, with the items of each set in it sorted."""
    if isinstance(value, RootModel):
        return with_sorted_sets(value.root, dumped)
    if isinstance(value, set | frozenset) and isinstance(dumped, list):
        return sorted(_each(value, dumped), key=dump_json)
    if isinstance(value, list | tuple | deque) and isinstance(dumped, list):
        return _each(value, dumped)
    if isinstance(value, Mapping) and isinstance(dumped, dict):
        return dict(zip(dumped, _each(value.values(), dumped.values()), strict=True))
    if (isinstance(value, BaseModel) or is_dataclass(value)) and isinstance(dumped, dict):
        names = {key: key for key in dumped} | _aliases(value)
        return {key: with_sorted_sets(getattr(value, names[key], None), item) for key, item in dumped.items()}
    return dumped


def _each(values: Any, dumped: Any) -> list[Json]:
    # A plain tool in another thread may change the collection meanwhile, or a serializer may have left items out.
    values = list(values)
    if len(values) != len(dumped):
        return list(dumped)
    return [with_sorted_sets(value, item) for value, item in zip(values, dumped, strict=True)]


def _aliases(value: Any) -> dict[str, str]:
    """Return the names of a model's fields by their aliases."""
    fields = type(value).model_fields if isinstance(value, BaseModel) else {}
    return {info.serialization_alias: name for name, info in fields.items() if info.serialization_alias}

"""Find out from the type of a field whether its values may contain sets."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Mapping, MutableSet, Sequence, Set
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel
from pydantic.fields import FieldInfo

_SETS = (set, frozenset, Set, MutableSet)
_PLAIN = (str, bytes, int, float, NoneType, date, time, timedelta, Decimal, Enum, UUID)
"""The classes whose values contain no other values."""
_COLLECTIONS = (list, dict, tuple, deque, defaultdict, OrderedDict, Counter, Mapping, Sequence, Union, UnionType)
"""Generic types whose values can contain sets only if a type argument allows sets. A `list[int]` contains none."""


def field_may_hold_sets(info: FieldInfo, within: frozenset[type] = frozenset()) -> bool:
    """Return whether the values of the field may contain sets. If this is not known, the answer is true.

    `within` are the models in which the field is nested.
    """
    return _is_custom(info.metadata) or _may_hold_sets(info.annotation, within)


def names_sets(kind: Any) -> bool:
    """Return whether the type contains a set type, as `list[set[int]]` does, or a model that may hold sets."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _model_may_hold_sets(kind, frozenset())
    return (get_origin(kind) or kind) in _SETS or any(names_sets(part) for part in get_args(kind))


def _may_hold_sets(kind: Any, within: frozenset[type]) -> bool:
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _is_custom(parts[1:]) or _may_hold_sets(parts[0], within)
    if origin in _COLLECTIONS:
        return any(_may_hold_sets(part, within) for part in parts if part is not ...)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _model_may_hold_sets(kind, within)
    return origin is not Literal and not (isinstance(kind, type) and issubclass(kind, _PLAIN))


def _model_may_hold_sets(kind: type[BaseModel], within: frozenset[type]) -> bool:
    if kind in within:
        return False  # The other fields of the model decide.
    if kind.model_config.get("extra") == "allow":
        return True
    return any(field_may_hold_sets(info, within | {kind}) for info in kind.model_fields.values())


def _is_custom(metadata: Any) -> bool:
    """Return whether the metadata of a type changes how values are validated or dumped.

    Metadata that only restricts which values are valid does not count.
    """
    return any(hasattr(one, "__get_pydantic_core_schema__") for one in metadata)

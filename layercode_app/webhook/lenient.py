"""What to drop from an event so that it can be read: the optional fields whose values are wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, get_args

from loguru import logger
from pydantic import BaseModel, ValidationError

Path: TypeAlias = tuple[str | int, ...]

SHOWN = 5
"""How many dropped fields a log line names."""


def drop_unreadable(fields: dict[str, Any], error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Delete each optional value that the error is about; returns their names, none where only required ones are wrong.

    The smallest optional value goes: a field of a nested object, or the item of a list that cannot do without it.
    """
    errors = error.errors(include_url=False, include_input=False)
    paths = {_optional(each["loc"][1:], model) for each in errors} - {()}
    # From the end, so that the places of a list's earlier items stay what they are.
    for path in sorted(paths, key=_order, reverse=True):
        _delete(fields, path)
    return [".".join(map(str, path)) for path in sorted(paths, key=_order)]


def tell_dropped(fields: Mapping[str, Any], dropped: Sequence[str]) -> None:
    """Log one line that names the dropped fields, and none of their values."""
    more = f" and {len(dropped) - SHOWN} more" if len(dropped) > SHOWN else ""
    ids = {name: fields.get(name, "") for name in ("conversation_id", "session_id", "turn_id")}
    logger.bind(**ids).warning(
        "An event of type {} has optional fields that cannot be read; they were ignored: {}{}",
        fields.get("type", "")[:80],
        ", ".join(dropped[:SHOWN]),
        more,
    )


def _optional(location: Path, model: type[BaseModel] | None) -> Path:
    """The longest beginning of the path that ends at an optional field or a list's item; empty when there is none."""
    longest: Path = ()
    for end, part in enumerate(location, 1):
        field = model.model_fields.get(part) if model is not None and isinstance(part, str) else None
        if field is None or not field.is_required():
            longest = location[:end]
        if field is not None:
            model = _model_in(field.annotation)
    return longest


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The model that a field holds, alone or in a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _order(path: Path) -> list[tuple[bool, str | int]]:
    """Sort names and list places together: Python does not compare text with numbers."""
    return [(isinstance(part, int), part) for part in path]


def _delete(fields: dict[str, Any], path: Path) -> None:
    parent: Any = fields
    try:
        for part in path[:-1]:
            parent = parent[part]
        del parent[path[-1]]
    except (LookupError, TypeError):
        # The path names a step of the validation and no value, so the whole field goes.
        fields.pop(str(path[0]), None)

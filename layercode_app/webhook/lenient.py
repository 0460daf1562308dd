"""Drop the invalid values of an event's optional fields, so that the event can be parsed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, get_args

from loguru import logger
from pydantic import BaseModel, ValidationError

Path: TypeAlias = tuple[str | int, ...]

SHOWN = 5
"""Maximum number of dropped fields that a log line names."""


def drop_unreadable(fields: dict[str, Any], error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Delete each optional value that the error names; return the names of the deleted values.

    The list is empty if only required values are wrong. For each error, only the innermost optional field or list
    item that contains the error is deleted.
    """
    errors = error.errors(include_url=False, include_input=False)
    paths = {_optional(each["loc"][1:], model) for each in errors} - {()}
    # Delete from the end, so that the indices of a list's earlier items stay valid.
    for path in sorted(paths, key=_order, reverse=True):
        _delete(fields, path)
    return [".".join(map(str, path)) for path in sorted(paths, key=_order)]


def tell_dropped(fields: Mapping[str, Any], dropped: Sequence[str]) -> None:
    """Log one line that names the dropped fields, but not their values."""
    more = f" and {len(dropped) - SHOWN} more" if len(dropped) > SHOWN else ""
    ids = {name: fields.get(name, "") for name in ("conversation_id", "session_id", "turn_id")}
    logger.bind(**ids).warning(
        "An event of type {} has optional fields with invalid values, which were ignored: {}{}",
        fields.get("type", "")[:80],
        ", ".join(dropped[:SHOWN]),
        more,
    )


def _optional(location: Path, model: type[BaseModel] | None) -> Path:
    """Return the path of the innermost optional field or list item that contains the location of an error.

    The path is empty if every field around the error is required.
    """
    longest: Path = ()
    for end, part in enumerate(location, 1):
        field = model.model_fields.get(part) if model is not None and isinstance(part, str) else None
        if field is None or not field.is_required():
            longest = location[:end]
        if field is not None:
            model = _model_in(field.annotation)
    return longest


def _model_in(annotation: object) -> type[BaseModel] | None:
    """Return the model in a field's annotation, alone or in a list or union; None if there is none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _order(path: Path) -> list[tuple[bool, str | int]]:
    """Return a sort key for a path of names and list indices: Python cannot compare strings with numbers."""
    return [(isinstance(part, int), part) for part in path]


def _delete(fields: dict[str, Any], path: Path) -> None:
    parent: Any = fields
    try:
        for part in path[:-1]:
            parent = parent[part]
        del parent[path[-1]]
    except (LookupError, TypeError):
        # The path names a validation step instead of a value, so delete the whole field.
        fields.pop(str(path[0]), None)

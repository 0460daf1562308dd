"""Copy the values of one model into another model of the same class."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from .parts import deep_copy, private_values


def copy_values(source: BaseModel, target: BaseModel) -> None:
    """Replace the values of `target` by copies of the values of `source`. Later changes to one do not affect the other.

    The values are the fields, the extra fields and the private attributes. If both models hold the same object in a
    field or private attribute, the object is not copied. So after `turn.state = turn.state.model_copy(update=...)`, the
    fields that were not updated are the same objects as before. If a private attribute cannot be copied, `target` keeps
    its own object. The object may be a lock that a tool in another thread holds.
    """
    if source is target:
        return
    given, held = private_values(source), private_values(target)
    known = {id(value): value for value in (*vars(target).values(), *held.values())}
    own = {id(value): held[name] for name, value in given.items() if name in held}
    values, extra, private = deep_copy((vars(source), source.model_extra, given), known, own)
    # `setattr` would refuse a frozen model, and validate the model while only some fields are copied.
    _replace(vars(target), values)
    if target.model_extra is not None and extra is not None:
        _replace(target.model_extra, extra)
    for name, value in private.items():
        BaseModel.__setattr__(target, name, value)


def _replace(contents: dict[str, Any], values: dict[str, Any]) -> None:
    contents.clear()
    contents.update(values)

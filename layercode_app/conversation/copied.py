"""Copy the values of one model into another model of the same class."""

from __future__ import annotations

import copy
from typing import Any

from pydantic import BaseModel


def copy_values(source: BaseModel, target: BaseModel) -> None:
    """Replace the fields of `target` by copies of those of `source`, so that later changes to one leave the other as is.

    A part that `target` already has is not copied, so it stays the same object after
    `turn.state = turn.state.model_copy(update=...)`.
    """
    if source is target:
        return
    known: dict[int, Any] = {id(value): value for value in vars(target).values()}
    values, extra = copy.deepcopy((vars(source), source.model_extra), known)
    # `setattr` would refuse a frozen model, and validate the model while only some fields are copied.
    _replace(vars(target), values)
    if target.model_extra is not None and extra is not None:
        _replace(target.model_extra, extra)


def _replace(contents: dict[str, Any], values: dict[str, Any]) -> None:
    contents.clear()
    contents.update(values)

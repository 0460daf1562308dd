"""Pydantic models for scenario files: the base class `Part` and its subclass `ExpectedCall`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from ...nearest import nearest


class MisspeltFieldError(ValueError):
    """A mapping of a scenario file has an unknown `field`, and its name is similar to the name of a known field."""

    def __init__(self, field: object, meant: str) -> None:
        super().__init__(f"unknown field {field!r}. Did you mean {meant!r}?")
        self.field = field


class Part(BaseModel):
    """A part of a scenario file. An unknown field is an error, because a misspelt field would check nothing."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _has_no_misspelt_field(cls, given: Any) -> Any:
        # Check this before pydantic reads the fields: for a misspelt field, pydantic could first report that the right
        # field is missing.
        for name in given if isinstance(given, Mapping) else ():
            if name not in cls.model_fields and (meant := nearest(str(name), cls.model_fields)):
                raise MisspeltFieldError(name, meant)
        return given


class ExpectedCall(Part):
    """An expected tool call: its name, and some of its arguments."""

    name: str
    args: dict[str, Any] = {}

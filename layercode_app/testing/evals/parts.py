"""Pydantic models for scenario files: the base class `Part` and its subclass `ExpectedCall`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A part of a scenario file. An unknown field is an error, because a misspelt field would check nothing."""

    model_config = ConfigDict(extra="forbid")


class ExpectedCall(Part):
    """An expected tool call: its name, and some of its arguments."""

    name: str
    args: dict[str, Any] = {}

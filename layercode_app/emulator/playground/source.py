"""The data and actions that the dev page uses, provided by the development server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ...journal.record import Json, TurnRecord
from ...journal.stores.base import Store
from ..emulator import Emulator
from .simulated import SimulatedCallers


class ForkRequest(BaseModel):
    """A request to fork a recorded call at the turn `turn_id`."""

    model_config = ConfigDict(extra="forbid")

    conversation_id: str
    turn_id: str
    say: list[str] = []
    prompt: str | None = None
    model: str | None = Field(default=None, min_length=1)
    run_tools: bool = False
    rest: bool = False


class SaveTurnRequest(BaseModel):
    """A request to save a turn in the project, as a scenario for `eval` or as a pytest test."""

    model_config = ConfigDict(extra="forbid")

    conversation_id: str
    turn_id: str
    form: Literal["scenario", "test"]


class GoalRequest(BaseModel):
    """A request to let a model guess what the caller of a recorded call wanted."""

    model_config = ConfigDict(extra="forbid")

    conversation_id: str
    model: str = Field(min_length=1)


class ReviewScenarioRequest(BaseModel):
    """A request to write a scenario from a reviewed call, whose caller wanted to reach `goal`."""

    model_config = ConfigDict(extra="forbid")

    conversation_id: str
    goal: str = Field(max_length=2_000)


@dataclass
class Source:
    """The data and the functions of a development server that the dev page uses."""

    store: Store
    emulator: Emulator
    agents: Callable[[], Json]
    """Return the agents, and the agent files that could not be loaded."""
    running: Callable[[str, str], TurnRecord | None]
    """Return the record of a turn by conversation id and turn id; None if the turn does not run in this process."""
    models: Callable[[], Json]
    """Return the models that a fork may use."""
    fork: Callable[[ForkRequest], Awaitable[Any]]
    """Fork a recorded call, and return the comparison as JSON. May raise DeveloperError."""
    save_turn: Callable[[SaveTurnRequest], Awaitable[Any]]
    """Save a turn; return the `path` of the file in the project. May raise DeveloperError."""
    guess_goal: Callable[[GoalRequest], Awaitable[Any]]
    """Let a model guess the caller's `goal`, and return it. May raise DeveloperError and CallerError."""
    review_scenario: Callable[[ReviewScenarioRequest], Awaitable[Any]]
    """Write a scenario; return its `path` in the project and what was `replaced`. May raise DeveloperError."""
    simulated: SimulatedCallers
    """The simulated callers, and their calls."""
    log_dir: Path | None = None
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server stops, to end open streams."""

"""What the dev page reads, and whom it asks to act: handed in by whoever composes a development server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ...conversation.live import LiveTurn
from ...conversation.record import Json
from ...conversation.stores.base import Store
from ..emulator import Emulator


class ForkRequest(BaseModel):
    """A fork, as the page asks for it; `turn_id` is where it begins."""

    model_config = ConfigDict(extra="forbid")

    conversation_id: str
    turn_id: str
    say: list[str] = []
    prompt: str | None = None
    model: str | None = Field(default=None, min_length=1)
    run_tools: bool = False
    rest: bool = False


@dataclass
class Source:
    """The parts of a development server that its page needs."""

    store: Store
    emulator: Emulator
    agents: Callable[[], Json]
    """The agents, and the agent files that failed."""
    running: Callable[[], Mapping[str, LiveTurn]]
    """The turns that run now, by conversation."""
    fork: Callable[[ForkRequest], Awaitable[Any]]
    """Forks a recorded call; gives the comparison as JSON. May raise DeveloperError."""
    log_dir: Path | None = None
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server is to stop: open streams end."""

"""The simulated callers that the dev page uses, provided by the development server."""

from __future__ import annotations

from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...journal.record import Json
from ..feed import Feed

MOST_CHARACTERS = 20_000


class SimulationRequest(BaseModel):
    """A request to call an agent with a simulated caller: the caller of a scenario, or a persona with a goal."""

    model_config = ConfigDict(extra="forbid")

    agent: str
    file: str = ""
    """The scenario file, as `callers` lists it; empty for a persona."""
    scenario: str = ""
    persona: str = Field(default="", max_length=MOST_CHARACTERS)
    goal: str = Field(default="", max_length=MOST_CHARACTERS)
    model: str = ""
    """The model that plays a caller without a script."""
    seed: int = 0
    metadata: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _names_a_caller(self) -> SimulationRequest:
        if self.file and not self.scenario:
            raise ValueError("`file` is given, but `scenario` is missing; expected the name of a scenario in this file")
        if not self.file and not self.goal.strip():
            raise ValueError("a persona needs a goal, such as: order two croissants")
        return self


class SimulatedCallers(Protocol):
    """The simulated callers of a development server."""

    async def callers(self) -> Json:
        """Return the callers of the scenario files, and the files that cannot be read."""
        ...

    async def start(self, asked: SimulationRequest) -> Json:
        """Start a call, and return it as JSON. May raise DeveloperError or PlatformAPIError."""
        ...

    def calls(self) -> list[Json]:
        """Return the latest calls as JSON, sorted from oldest to newest."""
        ...

    def stop(self, conversation_id: str) -> Json:
        """Stop a call, and return it. Raises PlatformAPIError (404) if there is no such call."""
        ...

    def listen(self, conversation_id: str) -> tuple[Feed, list[Json], bool]:
        """Let the dev page listen to a call.

        Return three values: a feed of the call's next messages; a list of the messages in the current turn so far; and
        whether the call is over.

        Raises PlatformAPIError (404) if there is no such call.
        """
        ...

    def name_of(self, conversation_id: str) -> str:
        """Return the name of the simulated caller in a conversation; empty if a person called."""
        ...

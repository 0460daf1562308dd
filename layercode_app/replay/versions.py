"""Compare the version of an agent with the version that answered a recorded call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..agent.offline import MODEL_NAME
from ..agent.voice_agent import VoiceAgent
from ..journal.record import Json
from .recording import Recording
from .rehearsal import Rehearsal


@dataclass
class Versions:
    """The recorded versions of one agent, and its current version. `today` is None if it cannot be compared."""

    recorded: list[str]
    today: str | None

    @property
    def changed(self) -> bool:
        """Whether the agent is known to have changed since the recording, or during it."""
        return self.today is not None and [self.today] != self.recorded

    def to_json(self) -> dict[str, Json]:
        """Return the versions as JSON."""
        return {"recorded": self.recorded, "today": self.today}


def versions_of(recording: Recording, name: str, voice: VoiceAgent[Any, Any]) -> Versions:
    """Return the recorded versions of the agent `name`, and the current version of `voice`, the agent that answers now.

    A version depends on the model's name, and the current version is computed with the offline model. So if a turn was
    recorded with a real model, the versions cannot be compared, and the current version is None.
    """
    turns = [turn for turn in recording.spoken if turn.agent == name]
    recorded = list(dict.fromkeys(turn.fingerprint for turn in turns))
    if not turns:
        return Versions(recorded, None)
    if voice.agent is None:
        return Versions(recorded, voice.fingerprint)
    offline = all(turn.model in (MODEL_NAME, "") for turn in turns)
    return Versions(recorded, Rehearsal(voice, model=MODEL_NAME).fingerprint if offline else None)

"""Load the agents of a development server, and load them again after each change.

If a changed file cannot be imported, its last good version keeps answering.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..agent.discovery import Found, discover, find_by_import, folders
from ..agent.instructions import prompt_of
from ..agent.models import given_model
from ..agent.offline import MODEL_NAME
from ..agent.voice_agent import VoiceAgent
from ..exceptions import ConfigurationError
from ..journal.record import Json
from ..observability.setup import keep_ours
from ..server.announce import tell_of
from .fresh_imports import fresh_imports

Voice = VoiceAgent[Any, Any]


@dataclass
class Loaded:
    """The loaded agents, and the files that failed to load, with their tracebacks.

    The chosen or default agent comes first, then the project's other agents, then the shipped `examples`. `kept` holds
    the failed files whose last good version still answers.
    """

    voices: list[Voice] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    examples: frozenset[str] = frozenset()


@dataclass
class AgentFiles:
    """Finds and loads the agents of a development server.

    `chosen` is the name of the agent to serve first, or its address `package.module:attribute`. If it is empty, the
    default agent is first.
    """

    chosen: str
    agents_dir: Path | None = None
    _last: dict[str, Voice] = field(default_factory=dict)
    _files: dict[str, Path] = field(default_factory=dict)
    _answers: str = ""
    """The default agent of the last load."""

    def load(self) -> Loaded:
        """Load every agent file, and reload the other modules in the folders of these files.

        A file that fails is reported, and its last good version is kept. Raises AgentNotFoundError or AgentImportError
        if the folder of agents does not exist, if no version of the chosen agent could ever be loaded, or if `chosen`
        is an address `package.module:attribute` that cannot be imported now.
        """
        with fresh_imports(self.watched()) as fresh:
            loaded = self._load()
            if loaded.failed:
                fresh.put_back()
        return loaded

    def _load(self) -> Loaded:
        found = discover(self.agents_dir)
        kept = self._kept(found)
        agents = found.agents | kept
        first = self._first(found, agents, sorted({*found.own(), *kept}))
        tell_of(found)
        files = {name: self._files[name] for name in kept}
        self._last, self._files = agents, self._files | found.files | files
        keep_ours(voice.agent for voice in (*agents.values(), first))
        examples = frozenset(name for name in agents if name not in kept and found.is_example(name)) - {first.name}
        others = sorted(agents.keys() - {first.name}, key=lambda name: (name in examples, name))
        failed = {str(path): error.traceback for path, error in found.failed.items()}
        return Loaded(
            [first, *(agents[name] for name in others)], failed, frozenset(map(str, files.values())), examples
        )

    def _kept(self, found: Found) -> dict[str, Voice]:
        """Return the last good agents of the files that fail now. They replace shipped agents of the same name."""
        return {name: voice for name, voice in self._last.items() if self._files.get(name) in found.failed}

    def _first(self, found: Found, agents: dict[str, Voice], own: Sequence[str]) -> Voice:
        if ":" in self.chosen:
            return find_by_import(self.chosen)
        chosen = self.chosen or self._default(found, own)
        return agents[chosen] if chosen in agents else found.get(chosen)

    def _default(self, found: Found, own: Sequence[str]) -> str:
        """Return the name of the default agent, or of the first agent if there are several and none is the default.

        Raises AgentImportError if all of the project's agent files failed. Later calls return the same name as long as
        the project has that agent, even if agent files were added.
        """
        if self._answers not in own:
            try:
                self._answers = found.default()
            except ConfigurationError:
                if not own:  # There are several agent files, and all of them failed.
                    raise next(iter(found.failed.values())) from None
                self._answers = own[0]  # The page can call any of them.
        return self._answers

    def watched(self) -> list[Path]:
        """Return the folders in which a change triggers a reload."""
        found = folders(self.agents_dir)
        module = sys.modules.get(self.chosen.partition(":")[0]) if ":" in self.chosen else None
        own = getattr(module, "__file__", None)
        return [*found, Path(own).resolve().parent] if own else found


def describe(voice: Voice, *, example: bool = False) -> dict[str, Json]:
    """Describe an agent for the list on the dev page. `example` is true for a shipped agent."""
    model = "selected by the agent" if voice.selects_model else voice.model or given_model(voice.agent)
    name = "" if voice.agent is None else str(getattr(model, "model_name", model))
    return {
        "name": voice.name,
        "title": voice.title,
        "example": example,
        "version": voice.fingerprint,
        "model": name,
        "offline": name == MODEL_NAME,
        "has_model": voice.agent is not None,
        "prompt": prompt_of(voice.agent),
        "has_script": voice.script is not None,
    }

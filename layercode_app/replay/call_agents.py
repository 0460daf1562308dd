"""Load the agents of a recorded call, so that it can be replayed or forked without a running server."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..agent.discovery import Found, discover, find_by_import
from ..agent.voice_agent import VoiceAgent
from ..exceptions import AgentImportError, AgentNotFoundError


@dataclass
class CallAgents:
    """The agents of a call: the named agent, and the others that are loaded.

    `missing` maps the name of each agent that could not be loaded to the reason.
    """

    voice: VoiceAgent[Any, Any]
    others: list[VoiceAgent[Any, Any]] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)


def load_agents(name: str, others: Iterable[str], agents_dir: Path | None) -> CallAgents:
    """Load the agent `name` and the agents `others`.

    `name` is an agent's name or its address `package.module:attribute`. `others` are names of agents, and may include
    the agent `name`: in a replay, this agent may answer in place of the agent that began the call.

    Raises AgentNotFoundError or AgentImportError if the agent `name` cannot be loaded.
    """
    by_address = find_by_import(name) if ":" in name else None
    names = [other for other in dict.fromkeys(others) if other]
    found = discover(agents_dir) if names or by_address is None else Found()
    loaded = CallAgents(by_address or found.get(name))
    for other in names:
        try:
            loaded.others.append(found.get(other))
        except (AgentImportError, AgentNotFoundError) as error:
            loaded.missing[other] = _reason(error, found)
    return loaded


def _reason(error: Exception, found: Found) -> str:
    """Return why an agent could not be loaded.

    If it was not found, add the errors of all files that failed to load, because one of them may define it.
    """
    failed = [] if isinstance(error, AgentImportError) else [str(one) for one in found.failed.values()]
    return " ".join([str(error), *failed])

"""Fork without a running server: open the journal from the settings, and find the agent that answered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..agent.discovery import discover, find_by_import
from ..agent.models import choose_model
from ..agent.voice_agent import VoiceAgent
from ..journal.read import turns_of
from ..journal.record import TurnRecord
from ..journal.stores import create_store
from ..settings import Settings
from ..settings.limits import Limits
from .compare import Fork
from .fork import Changes, find_turn, fork


async def fork_recorded(
    conversation_id: str,
    *,
    at: int | str,
    changes: Changes,
    settings: Settings,
    agents_dir: Path | None = None,
    agent: str | None = None,
) -> Fork:
    """Fork a conversation of the journal. By default the agent of the forked turn answers; `agent` names another one.

    The call can be handed to the other agents of the recorded call.

    Raises NotRecordedError if the journal does not have the conversation, AgentNotFoundError or AgentImportError if the
    agent cannot be loaded, StoreError, and all errors that `fork` raises.
    """
    store = create_store(settings.store, keep_seconds=settings.retention_days * 86_400)
    await store.open()
    try:
        turns = await turns_of(store, conversation_id, bodies=True)
    finally:
        await store.close()
    voice, *others = _agents(agent or find_turn(turns, at)[1].agent, turns, agents_dir or settings.agents_dir)
    for one in (voice, *others):
        choose_model(one, settings, offline_without_key=True)
    return await fork(turns, voice, at=at, changes=changes, others=others, limits=Limits.of(settings))


def _agents(name: str, turns: Sequence[TurnRecord], agents_dir: Path | None) -> list[VoiceAgent[Any, Any]]:
    """Return the agent that is named, and then the other agents of the recorded call that can be loaded."""
    found = discover(agents_dir)
    voice = find_by_import(name) if ":" in name else found.get(name)
    recorded = dict.fromkeys(agent for turn in turns for agent in (turn.agent, turn.handed_to, *turn.handed_by))
    return [voice, *(found.agents[agent] for agent in recorded if agent in found.agents and agent != voice.name)]

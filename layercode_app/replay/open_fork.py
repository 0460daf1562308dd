"""Fork without a running server: open the journal from the settings, and find the agent that answered."""

from __future__ import annotations

from pathlib import Path

from ..agent.discovery import find_agent
from ..agent.models import choose_model
from ..journal.read import turns_of
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

    Raises NotRecordedError if the journal does not have the conversation, AgentNotFoundError or AgentImportError if the
    agent cannot be loaded, StoreError, and all errors that `fork` raises.
    """
    store = create_store(settings.store, keep_seconds=settings.retention_days * 86_400)
    await store.open()
    try:
        turns = await turns_of(store, conversation_id, bodies=True)
    finally:
        await store.close()
    voice = find_agent(agent or find_turn(turns, at)[1].agent, agents_dir or settings.agents_dir)
    choose_model(voice, settings, offline_without_key=True)
    return await fork(turns, voice, at=at, changes=changes, limits=Limits.of(settings))

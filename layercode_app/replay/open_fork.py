"""Fork without a running server: open the journal from the settings, and find the agent that answered."""

from __future__ import annotations

from pathlib import Path

from ..agent.models import choose_model
from ..journal.read import turns_of
from ..journal.stores import create_store
from ..settings import Settings
from ..settings.limits import Limits
from .call_agents import load_agents
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
    """Fork a conversation of the journal. By default the agent of the forked turn answers; `agent` names another agent.

    In the fork, the call can be handed to the other agents of the recorded call, if they can be loaded.

    Raises NotRecordedError if the journal does not have the conversation, AgentNotFoundError or AgentImportError if the
    answering agent cannot be loaded, StoreError, and all errors that `fork` raises.
    """
    store = create_store(settings.store, keep_seconds=settings.retention_days * 86_400)
    await store.open()
    try:
        turns = await turns_of(store, conversation_id, bodies=True)
    finally:
        await store.close()
    name = agent or find_turn(turns, at)[1].agent
    recorded = [one for turn in turns for one in (turn.agent, turn.handed_to, *turn.handed_by) if one != name]
    loaded = load_agents(name, recorded, agents_dir or settings.agents_dir)
    for one in (loaded.voice, *loaded.others):
        choose_model(one, settings, offline_without_key=True)
    return await fork(turns, loaded.voice, at=at, changes=changes, others=loaded.others, limits=Limits.of(settings))

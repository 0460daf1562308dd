"""Tell the server, through the journal, about a call that was started elsewhere: its metadata and its agent."""

from __future__ import annotations

from collections.abc import Mapping

from .stores.base import Store

AGENT = "layercode.agent"
"""The key in a conversation's state of the agent that answers its next turn."""
DIRECTION, OUTBOUND = "direction", "outbound"
"""The metadata of a call that the agent has made."""


async def prepare_call(store: Store, conversation_id: str, metadata: Mapping[str, str], agent: str | None) -> None:
    """Write the metadata of an outbound call, and the agent that is to answer it, before its first turn."""
    await store.establish(conversation_id, {DIRECTION: OUTBOUND, **metadata})
    if agent is not None:
        await store.save_state(conversation_id, {AGENT: agent})

"""Store the metadata and the agent of an outbound call in the journal, where the server finds them."""

from __future__ import annotations

from collections.abc import Mapping

from .stores.base import Store

AGENT = "layercode.agent"
"""The key in a conversation's state for the name of the agent that answers the next turn."""
DIRECTION, OUTBOUND = "direction", "outbound"
"""The name and value of the metadata field that marks an outbound call."""


async def prepare_call(store: Store, conversation_id: str, metadata: Mapping[str, str], agent: str | None) -> None:
    """Store an outbound call's metadata and the name of its agent. This must happen before the call's first turn."""
    await store.establish(conversation_id, {DIRECTION: OUTBOUND, **metadata})
    if agent is not None:
        await store.save_state(conversation_id, {AGENT: agent})

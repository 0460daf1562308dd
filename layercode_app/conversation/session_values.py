"""Keep one value per session, for the newest sessions of a conversation.

All these values are encoded in one text, which is stored in the conversation's state.
"""

from __future__ import annotations

from ..journal.record_json import from_json, to_json

MOST_SESSIONS = 20
"""The maximum number of sessions in one text; the sessions that were added first are dropped first."""
YES = "yes"


def values_in(text: str) -> dict[str, str]:
    """Return the values by session id, oldest first, from a text that `with_value` returned.

    Earlier releases stored only a session id as the text. This session then has the value `YES`.
    """
    try:
        values = from_json(text)
    except ValueError:
        values = None
    if isinstance(values, dict):
        return {str(session): str(value) for session, value in values.items()}
    return {text: YES} if text else {}


def with_value(text: str, session_id: str, value: str) -> str:
    """Return `text` with a new value for this session. `text` is the text that an earlier call returned, or ""."""
    values = values_in(text) | {session_id: value}
    newest = list(values.items())[-MOST_SESSIONS:]
    return to_json(dict(newest)).decode()

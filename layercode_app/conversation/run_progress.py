"""What an agent's runner keeps while it speaks a turn: its model requests, its timeouts, and how far it got."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ..journal.record import Json, ModelCall, Stage, ToolCall


class RunProgress:
    """The progress of the agent in one turn. The runner and its helpers write it; the engine only reads it."""

    # Class attributes, because a dataclass would set all of these defaults for each turn.
    response = 0
    """Ordinal of the model response that is being spoken."""
    request: ModelCall | None = None
    """The agent's own model request that runs now."""
    stage = ""
    """The agent's stage at its newest model request, whose tools the response calls."""
    helpers: Stage | None = None
    """The usage of helper agents' models that is not in the record yet."""
    answered = False
    """Whether the reply is complete. If the agent continues to work, fillers need not cover the silence."""
    tool_timeout = 30.0
    """Seconds one tool call may take."""
    first_token_timeout = 8.0
    """Seconds that a model may take to begin its answer to a request."""
    piece_timeout = 6.0
    """Seconds that a model may pause within an answer."""
    hedge_after = 0.0
    """Seconds without a first token after which a request is sent a second time; 0 means never."""
    stand_in: Callable[[ToolCall], Awaitable[Json] | None] | None = None
    """Answer a tool call instead of the tool, in a fork that must not place a second order; None runs the tool."""
    tool_started: Callable[[], None] | None = None
    """Called when a tool starts; set by the fillers if a tool has texts of its own."""

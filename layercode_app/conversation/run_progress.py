"""The state of an agent's run in one turn: its current model request, its timeouts and its progress."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ..journal.record import Json, ModelCall, Stage, ToolCall


class RunProgress:
    """The progress of the agent in one turn, and the timeouts of its model requests and tools."""

    # Class attributes, because a dataclass would set all of these defaults for each turn.
    response = 0
    """The number of the model response that is being spoken, counted from 0 in each turn."""
    request: ModelCall | None = None
    """The agent's running model request. Requests of helper agents are not kept here."""
    repeats = 0
    """The failed attempts of the running model request that are already counted as retries."""
    stage = ""
    """The stage in which the agent made its latest model request. Tool calls of the response belong to this stage."""
    tools: Sequence[Any] = ()
    """PydanticAI's definitions of the tools in the agent's latest model request."""
    helpers: Stage | None = None
    """The usage of helper agents' models that has not been added to the record yet; None if there is none."""
    late_requests: list[ModelCall] | None = None
    """Requests of helper agents. They ended after the turn was reported, so they still have to be reported.

    None until the turn is reported.
    """
    late_tools: Sequence[ToolCall] = ()
    """The tool calls that were still running when the turn was reported."""
    answered = False
    """Whether the reply is complete. After that no fillers are spoken, even if the agent continues to work."""
    not_started: frozenset[str] = frozenset()
    """The ids of the tool calls that were not started, because the turn has ended or runs on another worker."""
    worked = False
    """Whether a tool call of the run may have taken effect, although it may not be in the record; set when a run ends."""
    tool_timeout = 30.0
    """Seconds one tool call may take."""
    first_token_timeout = 8.0
    """Seconds that a model may take to begin its answer to a request."""
    piece_timeout = 6.0
    """Seconds that a model may pause within an answer."""
    hedge_after = 0.0
    """Seconds without a first token after which a request is sent a second time; 0 means never."""
    posts_handoffs = False
    """Whether hand-offs to a person are posted to LAYERCODE_HANDOFF_URL."""
    stand_in: Callable[[ToolCall], Awaitable[Json] | None] | None = None
    """A function that may answer a tool call in place of the tool; if it returns None, the tool runs. Forks set it
    to answer with recorded results, so that a tool does not, for example, place the caller's order a second time."""
    tool_started: Callable[[], None] | None = None
    """Called when a tool starts. Set only if a tool has its own filler texts."""

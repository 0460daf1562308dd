"""Retries of a model request: which errors are retried, and how often."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence, Set
from typing import Any

from pydantic_ai.messages import ModelMessage, NativeToolCallPart, ToolCallPart, ToolReturnPart
from pydantic_ai.native_tools import MCPServerTool

from ..conversation.turn import Turn
from ..exceptions import ModelStalledError
from ..observability.errors import category_of

RETRY_SECONDS = (0.2, 0.8)
"""The pauses before the first and the second retry."""
MOST_STALLS = 2
"""A response is not retried after this many timeouts, because each timeout means seconds of silence."""
TRANSIENT = {"rate_limit", "network", "timeout"}
REFUSED = ("denied", "retried")
"""The outcomes of a tool call that did not take effect."""


def transient(error: BaseException) -> bool:
    """Return whether the same request may succeed if it is retried soon."""
    from pydantic_ai.exceptions import ModelAPIError, ModelQuotaExceededError, ModelRequestRejectedError

    if isinstance(error, ModelQuotaExceededError | ModelRequestRejectedError):
        return False
    kinds = ModelAPIError | ModelStalledError | BaseExceptionGroup
    category = category_of(error)
    return category == "bad_response" or (isinstance(error, kinds) and category in TRANSIENT)


class Retries:
    """The retries of one turn, counted for each response of the model.

    If a request failed before its first token, only that request is sent again. This is done even if tools have run or
    words were spoken. If a response broke off after its first token, the agent's whole run is repeated, but only if no
    words of the model were spoken and no tool was called. Both kinds of retries count against the same limit.
    """

    def __init__(self, turn: Turn[Any, Any]) -> None:
        self._turn = turn
        self._response = -1
        self._pauses = list(RETRY_SECONDS)
        self._stalls = 0

    def has_spoken(self) -> bool:
        """Return whether the model's words were spoken in this turn."""
        return self._turn.live.spoken.by_model

    async def again(self, error: Exception) -> bool:
        """Return whether to retry after this error. If so, first count the retry and wait for the backoff."""
        if not transient(error):
            return False
        self._turn_to(self._turn.live.run.response)
        self._stalls += sum(1 for one in _single(error) if category_of(one) == "timeout")
        if not self._pauses or self._stalls >= MOST_STALLS:
            return False
        pause = self._pauses.pop(0)
        self._turn.record.retries += 1
        self._turn.log.warning("The model failed; retrying in {} s: {}", pause, type(error).__name__)
        await asyncio.sleep(pause)
        return True

    def _turn_to(self, response: int) -> None:
        if response != self._response:
            self._response, self._pauses, self._stalls = response, list(RETRY_SECONDS), 0


def may_have_worked(messages: Sequence[ModelMessage], not_started: Set[str] = frozenset()) -> bool:
    """Return whether a tool call in a run's messages may have taken effect, wherever it was executed.

    A tool does not run through TurnTools if another program executes it, if a capability of the agent answers the call,
    or if the provider calls an MCP server. A call has no effect if its response broke off, if it was refused, or if its id
    is in `not_started`.
    """
    parts = [(part, getattr(message, "state", "")) for message in messages for part in message.parts]
    refused = not_started | {
        getattr(part, "tool_call_id", "") for part, _ in parts if getattr(part, "outcome", "") in REFUSED
    }
    return any(
        (isinstance(part, ToolCallPart) and state != "interrupted" and part.tool_call_id not in refused)
        or (isinstance(part, ToolReturnPart) and part.tool_call_id not in refused)
        or (isinstance(part, NativeToolCallPart) and part.tool_name.startswith(MCPServerTool.kind))
        for part, state in parts
    )


def _single(error: BaseException) -> Iterator[BaseException]:
    """Yield the single errors of a group and of its nested groups. An error that is not a group is yielded itself."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _single(one)
    else:
        yield error

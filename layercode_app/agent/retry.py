"""Retries of a model: which errors are worth one, and how many a turn makes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from ..conversation.turn import Turn
from ..exceptions import ModelStalledError
from ..observability.errors import category_of

RETRY_SECONDS = (0.2, 0.8)
"""Pauses before a model is asked again."""
MOST_STALLS = 2
"""A model that did not begin in time may do so once more; each time is seconds of silence."""
TRANSIENT = {"rate_limit", "network", "timeout"}


def transient(error: BaseException) -> bool:
    """Whether the same request may succeed a moment later."""
    from pydantic_ai.exceptions import ModelAPIError, ModelQuotaExceededError, ModelRequestRejectedError

    if isinstance(error, ModelQuotaExceededError | ModelRequestRejectedError):
        return False
    kinds = ModelAPIError | ModelStalledError | BaseExceptionGroup
    category = category_of(error)
    return category == "bad_response" or (isinstance(error, kinds) and category in TRANSIENT)


class Retries:
    """The retries of one turn, counted for each response of the model.

    A request that failed before its first token is made again by itself, so it may follow tools and words. A response
    that broke off later can only be had by running the whole turn again. Both use up the same retries.
    """

    def __init__(self, turn: Turn[Any, Any]) -> None:
        self._turn = turn
        self._response = -1
        self._pauses = list(RETRY_SECONDS)
        self._stalls = 0

    async def again(self, error: Exception) -> bool:
        """Pause, and say whether to ask the model again after this error."""
        if not transient(error):
            return False
        self._turn_to(self._turn.live.response)
        self._stalls += sum(1 for one in _single(error) if category_of(one) == "timeout")
        if not self._pauses or self._stalls >= MOST_STALLS:
            return False
        pause = self._pauses.pop(0)
        self._turn.record.retries += 1
        self._turn.log.warning("The model failed and is asked again in {} s: {}", pause, type(error).__name__)
        await asyncio.sleep(pause)
        return True

    def _turn_to(self, response: int) -> None:
        if response != self._response:
            self._response, self._pauses, self._stalls = response, list(RETRY_SECONDS), 0


def _single(error: BaseException) -> Iterator[BaseException]:
    """The errors of a group, one by one."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _single(one)
    else:
        yield error

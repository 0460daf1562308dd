"""A model with a timeout for its first token: a request that has not begun is made again, also after tools and words.

PydanticAI has such a timeout and such retries, at the cost of a cancel scope for each piece. Here each request has one
timer, and a piece costs nothing.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from typing import Any, Final

from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.exceptions import ModelRequestTimeout
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.instrumented import InstrumentedModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from ..conversation.deadline import Deadline
from .models import falls_back
from .retry import Retries

SETTING: Final = "first_event_timeout"
"""PydanticAI's own timeout, which bounds each model of several."""


def bounded(agent: Any, model: Any, retries: Retries, seconds: float) -> Any:
    """The agent's model with this timeout; one that makes its own spans goes on making them around its requests."""
    if others_retry(agent):
        return model
    if isinstance(model, InstrumentedModel):
        instrumented = copy.copy(model)
        instrumented.wrapped = BoundedModel(model.wrapped, retries, seconds)
        return instrumented
    return BoundedModel(model, retries, seconds)


def has_several(agent: Any, model: Any) -> bool:
    """Whether one request of a run may go to several models, each with a timeout of its own."""
    return falls_back(model) or others_retry(agent)


def others_retry(agent: Any) -> bool:
    """Whether a capability of the agent's own, such as ModelFallback, decides what follows a failed request."""
    given = getattr(getattr(agent, "root_capability", None), "capabilities", ())
    return any(type(one).on_model_request_error is not AbstractCapability.on_model_request_error for one in given)


class BoundedModel(WrapperModel):
    """A model of one turn. `seconds` bound the wait for the first token of a request; 0 is no bound."""

    def __init__(self, wrapped: Model | str, retries: Retries, seconds: float) -> None:
        super().__init__(wrapped)
        self._retries = retries
        self._seconds = seconds

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: Any = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Ask the model, and again where it failed before its first token."""
        while True:
            async with AsyncExitStack() as stack:
                opened = super().request_stream(messages, model_settings, model_request_parameters, run_context)
                try:
                    stream = await self._begun(stack, opened)
                except Exception as error:  # whatever is not transient is raised again
                    if not await self._retries.again(error):
                        raise
                    continue
                yield stream
                return

    async def _begun(self, stack: AsyncExitStack, opened: Any) -> StreamedResponse:
        """The stream, when its first event has come."""
        try:
            with Deadline(self._seconds) if self._seconds else nullcontext():
                stream: StreamedResponse = await stack.enter_async_context(opened)
                # Where a release keeps its events elsewhere, a stream that fails early is not asked for again.
                if hasattr(stream, "_event_iterator"):
                    events = aiter(stream)
                    first = await anext(events, None)
                    stream._event_iterator = _Replayed(first, events)
        except TimeoutError as error:
            raise ModelRequestTimeout(self.model_name, self._seconds, setting=SETTING) from error
        return stream


class _Replayed:
    """The events of a stream whose first one was taken; None where it had none."""

    __slots__ = ("_events", "_first")

    def __init__(self, first: Any, events: AsyncIterator[Any]) -> None:
        self._first = first
        self._events = events

    def __aiter__(self) -> _Replayed:
        return self

    def __anext__(self) -> Awaitable[Any]:
        # The stream's own awaitable, so that an event passes through no further coroutine.
        return self._events.__anext__() if self._first is None else self._take_first()

    async def _take_first(self) -> Any:
        first, self._first = self._first, None
        return first

    async def aclose(self) -> None:
        """Close the stream's events."""
        if isinstance(self._events, AsyncGenerator):
            await self._events.aclose()

"""A model wrapper with a timeout for the first token. Transient errors before the first token are retried.

A retry is possible even after tools ran or words were spoken in the same turn. PydanticAI has a similar timeout and
similar retries, but its timeout costs time for each piece of the stream. Here each request has one timer instead.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from typing import Any, Final

from pydantic_ai.exceptions import ModelRequestTimeout
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.instrumented import InstrumentedModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from .._compat.pydantic_ai import can_replace_events, handles_failed_requests, replace_events
from ..conversation.timeout import Timeout
from .first_words import LaterPieces
from .models import falls_back
from .replayed_events import ReplayedEvents
from .retry import Retries

SETTING: Final = "first_event_timeout"
"""PydanticAI's own timeout setting. It bounds each model of a fallback chain separately."""


def bounded(agent: Any, model: Any, retries: Retries, seconds: float) -> Any:
    """Wrap the agent's model with the first-token timeout and the retries.

    An instrumented model stays outermost, so that its spans still surround its requests. The model is returned
    unchanged if a capability of the agent handles failed requests; see `RetriedRequests`.
    """
    if others_handle_failures(agent):
        return model
    if isinstance(model, InstrumentedModel):
        instrumented = copy.copy(model)
        instrumented.wrapped = BoundedModel(model.wrapped, retries, seconds)
        return instrumented
    return BoundedModel(model, retries, seconds)


def has_several(agent: Any, model: Any) -> bool:
    """Return whether one request of a run may go to several models, each with its own timeout."""
    return falls_back(model) or others_handle_failures(agent)


def others_handle_failures(agent: Any) -> bool:
    """Return whether a capability of the agent, such as ModelFallback, handles failed model requests."""
    given = getattr(getattr(agent, "root_capability", None), "capabilities", ())
    return any(handles_failed_requests(one) for one in given)


class BoundedModel(WrapperModel):
    """The model of one turn, with a timeout of `seconds` for the first token of each request; 0 means no timeout."""

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
        """Send the request. Retry it if a transient error occurs before the first token; raise any other error."""
        while True:
            async with AsyncExitStack() as stack:
                opened = super().request_stream(messages, model_settings, model_request_parameters, run_context)
                try:
                    stream = await self._begun(stack, opened)
                except Exception as error:  # errors that are not transient are raised again
                    if not await self._retries.again(error):
                        raise
                    continue
                yield stream
                return

    async def _begun(self, stack: AsyncExitStack, opened: Any) -> StreamedResponse:
        """Open the stream and wait for its first event. Raises ModelRequestTimeout if that takes too long."""
        try:
            with Timeout(self._seconds) if self._seconds else nullcontext():
                stream: StreamedResponse = await stack.enter_async_context(opened)
                if can_replace_events(stream):
                    events = aiter(stream)
                    first = await anext(events, None)
                    later = LaterPieces(events, self._retries.has_spoken)
                    replace_events(stream, ReplayedEvents(first, later))
        except TimeoutError as error:
            raise ModelRequestTimeout(self.model_name, self._seconds, setting=SETTING) from error
        return stream

"""A model wrapper that sends a slow request a second time, uses the request that answers first, and cancels the other.

A few requests wait very long for their first token, and a second request is seldom slow too. The race ends with the
first event of either stream, before anything is spoken and before a tool is called. So nothing is spoken or run twice.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, TypeAlias

from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.instrumented import InstrumentedModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from .._compat.pydantic_ai import can_replace_events, replace_events
from ..conversation.model_requests import Hedge
from ..observability import spans
from .offline import MODEL_NAME
from .replayed_events import ReplayedEvents

CLOSE_SECONDS = 2.0
"""The maximum wait for the stream to close at the end of a response."""
_closing: set[asyncio.Task[None]] = set()
"""The tasks of requests that lost the race, until their streams are closed."""
Opened: TypeAlias = AbstractAsyncContextManager[StreamedResponse]
Note: TypeAlias = Callable[[Hedge], None]
"""A function that records a request that was sent twice. It is called after the race of the two requests."""


def hedged(model: Any, second: Model | None, after: float, note: Note) -> Any:
    """Wrap a model so that a request without a first token after `after` seconds is sent again, to `second` if given.

    If the model is an InstrumentedModel, the wrapper is put around the model inside it. The offline model is returned
    unchanged. If `after` is 0, every model is returned unchanged.
    """
    if not after or getattr(model, "model_name", "") == MODEL_NAME:
        return model
    if isinstance(model, InstrumentedModel):
        instrumented = copy.copy(model)
        instrumented.wrapped = HedgedModel(model.wrapped, second, after, note)
        return instrumented
    return HedgedModel(model, second, after, note)


class HedgedModel(WrapperModel):
    """The model of one turn, which sends a request a second time if its response is slow to begin."""

    def __init__(self, wrapped: Model | str, second: Model | None, after: float, note: Note) -> None:
        super().__init__(wrapped)
        self._second = second or self.wrapped
        self._after = after
        self._note = note
        self._unprepared: list[ModelMessage] = []

    @property
    def settings(self) -> ModelSettings | None:
        """The settings of the model, or None if the second request goes to another model.

        In that case, each of the two models adds its own settings.
        """
        return None if self._is_other else super().settings

    @property
    def _is_other(self) -> bool:
        return self._second is not self.wrapped

    def prepare_messages(
        self, messages: list[ModelMessage], model_request_parameters: ModelRequestParameters | None = None
    ) -> list[ModelMessage]:
        """Prepare the messages for the first model. Keep the unprepared messages for the second model."""
        self._unprepared = messages
        return super().prepare_messages(messages, model_request_parameters)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: Any = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Send the request, and send it a second time if it is slow. Yield the stream that begins first."""
        given = model_settings, model_request_parameters, run_context

        def first() -> Opened:
            return self.wrapped.request_stream(list(messages), *given)

        def second() -> Opened:
            return self._second.request_stream(self._for_second(messages, model_request_parameters), *given)

        race = _Race(_Request(self.wrapped, first), self._note)
        try:
            yield await race.winner(self._after, lambda: _Request(self._second, second, "hedged request"))
        except BaseException:
            await race.end(cut=True)
            raise
        await race.end(cut=False)

    def _for_second(
        self, messages: list[ModelMessage], model_request_parameters: ModelRequestParameters
    ) -> list[ModelMessage]:
        """Return the messages of the second request. `messages` were prepared for the first model."""
        if not self._is_other:
            return list(messages)
        return self._second.prepare_messages(self._unprepared or messages, model_request_parameters)


class _Race:
    """The race for one response: the first request, and the second request if the first was slow."""

    def __init__(self, first: _Request, note: Note) -> None:
        self._first = first
        self._note = note
        self._second: _Request | None = None
        self._won: _Request | None = None

    async def winner(self, after: float, again: Callable[[], _Request]) -> StreamedResponse:
        """Return the stream that begins first. Raises the first request's error if neither stream begins.

        `again` sends the second request. It is called after `after` seconds without an event.
        """
        await asyncio.wait([self._first.begun], timeout=after)
        if not self._first.begun.done():
            self._second = again()
            await self._decide(self._second)
        else:
            self._won = self._first
        winner = self._won or self._first
        return winner.begun.result()

    async def _decide(self, second: _Request) -> None:
        """Wait until one request is answered or both have failed. Cancel the slower request without waiting for its end."""
        waiting = {self._first.begun, second.begun}
        while waiting and self._won is None:
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            # If both have begun by now, prefer the first request, so that the second one is not recorded as the winner.
            self._won = next((one for one in (self._first, second) if one.has_begun), None)
        for one in (self._first, second):
            if one is not self._won:
                one.task.cancel()

    async def end(self, *, cut: bool) -> None:
        """Close the streams. `cut` means that the response was not read to its end.

        If closing the winning request's stream fails, its error is raised.
        """
        requests = [one for one in (self._first, self._second) if one is not None]
        for one in requests:
            if cut or one is not self._won:
                one.task.cancel()
            else:
                one.over.set()
        if self._second is not None:
            self._note(self._hedge(self._second))
        # Do not wait until the losing request is closed: its connection may be slow.
        waiting = [one.task for one in requests if cut or one is self._won or self._won is None]
        _closing.update(one.task for one in requests if one.task not in waiting)
        for task in [*_closing]:
            task.add_done_callback(_closing.discard)
        await asyncio.wait(waiting, timeout=CLOSE_SECONDS)
        if not cut and self._won is not None and self._won.task.done():
            self._won.task.result()

    def _hedge(self, second: _Request) -> Hedge:
        other = self._first if self._won is second else second
        return Hedge(
            model=second.model.model_name,
            other=other.model.model_name,
            sent=second.sent,
            won=self._won is second,
            failed=other.failed,
            ended=other.ended or asyncio.get_running_loop().time(),
        )


class _Request:
    """One request. Its task opens the stream, waits for the first event, and keeps the stream open until `over` is set.

    The task itself calls `send`, so that an error of `send` fails only this request. If `span` is not empty, the
    request is recorded in a span of that name.
    """

    def __init__(self, model: Model, send: Callable[[], Opened], span: str = "") -> None:
        loop = asyncio.get_running_loop()
        self.model = model
        self.sent = loop.time()
        self.ended: float | None = None
        self.begun: asyncio.Future[StreamedResponse] = loop.create_future()
        self.over = asyncio.Event()
        self.task = asyncio.create_task(self._hold(send, span), name="model-request")
        self.task.add_done_callback(self._ended)

    @property
    def has_begun(self) -> bool:
        """Whether the first event has arrived."""
        return self.begun.done() and not self.begun.cancelled() and not self.failed

    @property
    def failed(self) -> bool:
        """Whether the request ended with an error before its first event."""
        return self.begun.done() and not self.begun.cancelled() and self.begun.exception() is not None

    async def _hold(self, send: Callable[[], Opened], span: str) -> None:
        # A context must be exited in the task that entered it. A losing request exits its context by cancellation.
        traced = spans.span(span, {"gen_ai.request.model": self.model.model_name}) if span else nullcontext()
        with traced as current:
            async with send() as stream:
                await self._begin(stream)
                if current is not None:
                    current.set_attribute("layercode.hedge.began", True)
                await self.over.wait()

    async def _begin(self, stream: StreamedResponse) -> None:
        if can_replace_events(stream):
            events = aiter(stream)
            replace_events(stream, ReplayedEvents(await anext(events, None), events))
        self.begun.set_result(stream)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.ended = task.get_loop().time()
        error = None if task.cancelled() else task.exception()
        if self.begun.done():
            return
        if error is None:
            self.begun.cancel()
        else:
            self.begun.set_exception(error)
            self.begun.exception()  # Retrieve the error, so that asyncio does not log it for a losing request.

"""The webhooks of one session: one stream at a time, and other events concurrently."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any, TypeAlias

from ..exceptions import DeliveryError
from ..journal.record import END
from . import failures
from .failures import Quiet
from .faults import Faults
from .protocol import Accepted, BackendFrame, DataAnswer, Deliver, DeliverData, FromBackend, StreamClosed
from .webhooks import Answer, WebhookClient

_UNSENT = 60.0
"""Maximum seconds to send the rest of a request that is aborted.

The rest is sent, because the request may contain the caller's words.
"""
_DUPLICATE_AFTER = 0.02
Read: TypeAlias = Callable[[Answer, Callable[[], None]], Awaitable[None]]
"""A function that reads an answer. It calls its second argument for each event that it receives."""


class Deliveries:
    """Posts the events of one session, and passes the answers to `report`.

    `watch` is called with each step, such as `webhook` (an event is posted) or `frame` (a part of the answer arrived).
    `remedies` is the advice about a failed webhook, by status.
    """

    def __init__(
        self,
        *,
        agent: WebhookClient,
        session: WebhookClient,
        headers: dict[str, str],
        faults: Faults,
        report: Callable[[FromBackend], None],
        watch: Callable[..., None],
        remedies: Mapping[int, str],
    ) -> None:
        self._agent, self._session = agent, session
        self._headers = headers
        self._faults = faults
        self._report = report
        self._watch = watch
        self._remedies = remedies
        self._running: dict[str, tuple[asyncio.Task[None], asyncio.Event]] = {}
        self._closing: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def stream(self, what: Deliver, event: dict[str, Any]) -> None:
        """Post an event whose answer is the stream of a turn."""
        sent = asyncio.Event()
        task = self._spawn(self._stream(what.turn_id, event, sent, self._closing))
        self._running[what.turn_id] = (task, sent)
        task.add_done_callback(lambda _: self._running.pop(what.turn_id, None))

    def abort(self, turn_id: str) -> None:
        """Close the connection of a turn's webhook as soon as the request has been sent completely."""
        if running := self._running.get(turn_id):
            self._closing = self._spawn(self._close(*running))

    def data(self, what: DeliverData, event: dict[str, Any]) -> None:
        """Post an event whose answer is JSON for the client."""
        self._spawn(self._data(what.turn_id, event))

    def notify(self, event: dict[str, Any]) -> None:
        """Post an event whose answer is only an acknowledgement."""
        self._spawn(self.acknowledge(event))

    async def acknowledge(self, event: dict[str, Any]) -> None:
        """Post an event, and wait until it is acknowledged or has failed."""
        await self._post(self._session, event, _ignore)

    async def settle(self, *, within: float) -> None:
        """Wait up to `within` seconds for running deliveries, then cancel those that have not ended."""
        if pending := set(self._tasks):
            _, late = await asyncio.wait(pending, timeout=within)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _stream(
        self, turn_id: str, event: dict[str, Any], sent: asyncio.Event, before: asyncio.Task[None] | None
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
        duplicate = self._spawn(self._duplicate(event)) if self._faults.duplicate else None
        try:
            error = await self._post(self._agent, event, partial(self._read, event), sent.set)
        except asyncio.CancelledError:
            if duplicate is not None:
                duplicate.cancel()
            raise
        self._report(StreamClosed(turn_id, error))

    async def _read(self, event: dict[str, Any], answer: Answer, heard: Callable[[], None]) -> None:
        turn_id, ended = event["turn_id"], False
        self._report(Accepted(turn_id))
        if not answer.is_stream:
            body = await answer.body()
            if event["type"] == "message":
                kind = answer.headers.get("content-type", "")
                self._watch("notice", text=failures.no_stream(event, answer.status, kind, body))
            return
        async for frame in answer.frames():
            heard()
            await self._lag()
            self._watch("frame", turn_id=turn_id, at_ms=frame.at_ms, frame=frame.payload)
            content = frame.payload.get("error") if frame.type == "response.error" else frame.content
            self._report(BackendFrame(turn_id, frame.type, content))
            ended |= frame.type == END
        if not ended:
            self._watch("notice", text=failures.unended(event))

    async def _duplicate(self, event: dict[str, Any]) -> None:
        await asyncio.sleep(_DUPLICATE_AFTER)
        await self._post(self._agent, event, _ignore)

    async def _data(self, turn_id: str, event: dict[str, Any]) -> None:
        async def read(answer: Answer, heard: Callable[[], None]) -> None:
            self._report(DataAnswer(turn_id, await answer.json()))

        await self._post(self._agent, event, read)

    async def _close(self, task: asyncio.Task[None], sent: asyncio.Event) -> None:
        waiting = asyncio.create_task(sent.wait())
        bound = _UNSENT + self._faults.latency_ms / 1000
        await asyncio.wait([task, waiting], timeout=bound, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        task.cancel()
        await asyncio.wait([task])

    async def _post(
        self,
        client: WebhookClient,
        event: dict[str, Any],
        read: Read,
        on_sent: Callable[[], None] | None = None,
    ) -> str | None:
        """Post one event. Return the error message if this failed, else None."""
        await self._lag()
        self._watch("webhook", event=event, url=str(client.url), dropped=self._faults.drop_webhooks)
        if self._faults.drop_webhooks:
            return "the webhook was dropped (fault `drop`)"
        quiet = Quiet(event, lambda text: self._watch("notice", text=text))
        try:
            async with client.deliver(event, headers=self._headers, on_sent=on_sent) as answer:
                quiet.begin(streams=answer.is_stream)
                self._watch("answer", event=event, status=answer.status, at_ms=answer.accepted_ms)
                if not answer.ok:
                    body = await answer.body()
                    self._watch("notice", text=failures.refused(event, answer.status, body, self._remedies))
                    return f"the backend answered {answer.status}: {body[:200]!r}"
                await read(answer, quiet.heard)
        except DeliveryError as error:
            self._watch("notice", text=failures.undelivered(event, error))
            return str(error)
        finally:
            quiet.stop()
        return None

    async def _lag(self) -> None:
        if self._faults.latency_ms:
            await asyncio.sleep(self._faults.latency_ms / 1000)


async def _ignore(answer: Answer, heard: Callable[[], None]) -> None:
    await answer.body()

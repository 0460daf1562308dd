"""A client that records a webhook's answer exactly: status, headers, every byte of the stream and its arrival time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from ...emulator.javascript import stringify
from ...emulator.protocol import GREETED, NO_TEXT
from ...emulator.webhooks import Answer, Received, WebhookClient
from ...exceptions import DeliveryError
from ...journal.record import CHECKED, END, TTS
from ...webhook import HEADER, sign
from .limits import FailedError, Limits

Event = dict[str, Any]
STORY = "Please tell me about yourself, in three sentences."


@dataclass
class Exchange:
    """One request and its answer. Times are in milliseconds since the request."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    is_stream: bool = False
    body: bytes = b""
    frames: list[Received] = field(default_factory=list)
    malformed: list[str] = field(default_factory=list)
    """Violations of the event format."""
    error: str = ""
    """The reason why the answer did not arrive or broke off; empty if it is complete."""
    ended_ms: float = 0.0

    @property
    def spoken(self) -> str:
        """The complete speech."""
        return "".join(str(frame.content) for frame in self.frames if frame.type == TTS)

    @property
    def ttfs(self) -> float | None:
        """Time to first speech; None when nothing was spoken."""
        return next((frame.at_ms for frame in self.frames if frame.type == TTS), None)

    @property
    def summary(self) -> str:
        """The error, or the status and the beginning of the body."""
        if self.error:
            return self.error
        shown = self.body[:120].decode(errors="replace")
        return f"{self.status} {shown!r}"

    def needs_stream(self) -> Exchange:
        """Return this exchange. Raises FailedError unless it is complete, with status 200 and at least one event."""
        if self.error or self.status != 200:
            raise FailedError(f"expected 200 and a stream, got {self.summary}")
        if not self.frames:
            raise FailedError(f"expected response.tts events and response.end, got {self.summary}")
        return self

    def needs_whole_turn(self) -> Exchange:
        """Return this exchange. Raises FailedError unless it is complete, with status 200 and a `response.end`."""
        if END not in [frame.type for frame in self.needs_stream().frames]:
            raise FailedError("the stream has no response.end")
        return self

    def needs_json(self) -> Any:
        """Return the JSON of an acknowledgement; None if its body is empty. Raises FailedError for any other answer."""
        if self.error or not 200 <= self.status < 300 or self.is_stream:
            kind = "a stream" if self.is_stream else self.summary
            raise FailedError(f"expected 200 and JSON, got {kind}")
        try:
            return json.loads(self.body) if self.body.strip() else None
        except ValueError:
            raise FailedError(f"expected JSON, got {self.summary}") from None

    def needs_status(self, *statuses: int) -> None:
        """Raise FailedError unless the answer has one of these statuses."""
        if self.error or self.status not in statuses:
            raise FailedError(f"expected {' or '.join(map(str, statuses))}, got {self.summary}")


class Probe:
    """A client that delivers events to one webhook."""

    def __init__(self, client: WebhookClient, limits: Limits) -> None:
        self._client = client
        self.limits = limits
        self.unreachable = False
        """Whether nothing listened at the URL during the last request."""
        self._sample: Exchange | None = None
        self._crashed = False
        self.sample_turn_id = ""

    def talk(self) -> Talk:
        """Return a new conversation."""
        return Talk(self)

    async def sample(self) -> Exchange:
        """Return the answer to an ordinary message. The message is sent once, and several checks share the answer."""
        if self._sample is None:
            talk = self.talk()
            self._sample = await talk.say(STORY)
            self.sample_turn_id = talk.turn_id
        return self._sample

    async def deliver(self, event: Event, *, headers: Mapping[str, str] | None = None) -> Exchange:
        """Deliver an event with a valid signature."""
        body = stringify(event).encode()
        return await self.post(body, {HEADER: self.sign(body), **(headers or {})})

    async def post(self, body: bytes, headers: Mapping[str, Any]) -> Exchange:
        """Post these bytes with these headers. Failures are recorded in the exchange.

        A server that crashed may have closed the connection silently. So if a request fails right after an answer with
        a 5xx status, the request is sent once more.
        """
        after_a_crash = self._crashed
        exchange = await self._post(body, headers)
        if after_a_crash and exchange.error and not exchange.status:
            exchange = await self._post(body, headers)
        self._crashed = exchange.status >= 500
        return exchange

    async def _post(self, body: bytes, headers: Mapping[str, Any]) -> Exchange:
        exchange = Exchange()
        try:
            async with asyncio.timeout(self.limits.timeout):
                async with self._client.send(body, headers=headers) as answer:
                    await _read(answer, exchange)
            self.unreachable = False
        except DeliveryError as error:
            exchange.error, self.unreachable = str(error), error.reason == "unreachable"
        except TimeoutError:
            exchange.error = f"the answer was not complete after {self.limits.timeout:g} s"
        return exchange

    async def abort(self, event: Event, *, after_frames: int) -> Exchange:
        """Deliver an event, close the connection after `after_frames` frames of the answer, and return what arrived.

        If `after_frames` is 0, the connection is closed at the first chunk or after 30 ms, whichever comes first.
        """
        body = stringify(event).encode()
        exchange = Exchange()
        try:
            async with asyncio.timeout(self.limits.timeout if after_frames else 0.03):
                async with self._client.send(body, headers={HEADER: self.sign(body)}) as answer:
                    exchange.status = answer.status
                    async for _ in _events(answer, exchange):
                        if len(exchange.frames) >= after_frames:
                            break
        except (DeliveryError, TimeoutError) as error:
            self.unreachable = isinstance(error, DeliveryError) and error.reason == "unreachable"
            exchange.error = str(error) or f"nothing arrived within {self.limits.timeout:g} s"
        return exchange

    def sign(self, body: bytes, *, timestamp: int | None = None) -> str:
        """Return a valid signature header for a body. It is signed now, or at `timestamp` (epoch seconds)."""
        return sign(body, self._client.secret, timestamp=timestamp)


class Talk:
    """One conversation with the webhook."""

    def __init__(self, probe: Probe | None = None) -> None:
        self._probe = probe
        self.conversation_id = f"{CHECKED}{uuid4().hex[:12]}"
        self.session_id = f"session-{uuid4().hex[:12]}"
        self.turn_id = ""

    def event(self, kind: str, **fields: Any) -> Event:
        """Build an event of this conversation, with a new turn id if its type needs one.

        A field whose value is `...` is left out.
        """
        ids = {"type": kind, "session_id": self.session_id, "conversation_id": self.conversation_id}
        if kind in ("message", "session.start", "welcome", "data"):
            self.turn_id = f"turn-{uuid4().hex[:12]}"
            ids["turn_id"] = self.turn_id
        if kind in GREETED:
            ids |= NO_TEXT
        return {name: value for name, value in (ids | fields).items() if value is not ...}

    async def send(self, kind: str, **fields: Any) -> Exchange:
        """Deliver an event of this conversation."""
        assert self._probe is not None
        return await self._probe.deliver(self.event(kind, **fields))

    async def say(self, text: str, **fields: Any) -> Exchange:
        """Send a message of the caller."""
        return await self.send("message", text=text, **fields)

    def reconnect(self) -> None:
        """Continue in a new session."""
        self.session_id = f"session-{uuid4().hex[:12]}"


async def _read(answer: Answer, exchange: Exchange) -> None:
    exchange.status, exchange.headers, exchange.is_stream = answer.status, answer.headers, answer.is_stream
    async for at_ms in _events(answer, exchange):
        exchange.ended_ms = at_ms
    if b"data:" not in exchange.body and not exchange.is_stream:
        exchange.malformed.clear()


async def _events(answer: Answer, exchange: Exchange) -> AsyncIterator[float]:
    """Read the body strictly: each event must be one `data:` line of JSON and a blank line. Yield each chunk's time."""
    rest = b""
    at_ms = 0.0
    async for at_ms, chunk in answer.chunks():
        exchange.body += chunk
        *blocks, rest = (rest + chunk).replace(b"\r\n", b"\n").split(b"\n\n")
        for block in blocks:
            _event(block, at_ms, exchange)
        yield at_ms
    if rest.strip():
        exchange.malformed.append(f"no blank line follows {rest[:80]!r}")
        _event(rest, at_ms, exchange)


def _event(block: bytes, at_ms: float, exchange: Exchange) -> None:
    lines = [line for line in block.split(b"\n") if line and not line.startswith(b":")]
    if not lines:
        return
    if len(lines) > 1:
        exchange.malformed.append(f"expected one line per event, got {len(lines)}: {block[:80]!r}")
    elif not lines[0].startswith(b"data:"):
        exchange.malformed.append(f"expected `data: {{json}}`, got {block[:80]!r}")
    data = b"\n".join(line.removeprefix(b"data:").strip() for line in lines)
    try:
        payload = json.loads(data)
    except ValueError:
        exchange.malformed.append(f"expected `data: {{json}}`, got {block[:80]!r}")
        return
    if isinstance(payload, dict):
        exchange.frames.append(Received(at_ms, payload))
    else:
        exchange.malformed.append(f"expected a JSON object, got {block[:80]!r}")

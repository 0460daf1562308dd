"""A text caller, which talks to a backend by sending the events that the platform would send."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from ..exceptions import PlatformError
from ..journal.record import DATA, HANGUP, TTS
from .protocol import NO_TEXT
from .webhooks import Answer, Received, WebhookClient


@dataclass
class Reply:
    """The answer to a turn. Times are in milliseconds since the request; `ttfs_ms` is None if nothing was spoken."""

    turn_id: str
    conversation_id: str
    text: str
    spoken: str = ""
    data: list[Any] = field(default_factory=list)
    ttfs_ms: float | None = None
    total_ms: float = 0.0
    interrupted: bool = False
    hangup: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return a dictionary for JSON."""
        return asdict(self)


class BackendError(PlatformError):
    """The backend answered an event with a status that is not 2xx."""


class TextCaller:
    """A caller in one session of a conversation. `hear` is called with each event of a reply as it arrives.

    `greet` and `say` raise BackendError if the status is not 2xx, and DeliveryError if the answer is missing or broken.
    """

    def __init__(
        self,
        client: WebhookClient,
        *,
        conversation_id: str | None = None,
        hear: Callable[[Received], None] | None = None,
    ) -> None:
        self._client = client
        self._hear = hear or (lambda frame: None)
        self.conversation_id = conversation_id or f"conv-{uuid4().hex[:12]}"
        self.session_id = f"sess-{uuid4().hex[:12]}"
        self._started = time.time()
        self._began = time.monotonic()
        self._transcript: list[dict[str, Any]] = []
        self._last: Reply | None = None

    async def greet(self) -> Reply:
        """Connect and return the greeting."""
        return await self._turn({"type": "session.start"} | NO_TEXT, "")

    async def say(self, text: str) -> Reply:
        """Say something and return the reply. If this method is cancelled, the agent is interrupted (a barge-in)."""
        self._note("user", text)
        event: dict[str, Any] = {"type": "message", "text": text}
        if self._last is not None and self._last.interrupted:
            heard = self._last.spoken
            event["interruption_context"] = {
                "previous_turn_interrupted": True,
                "words_heard": len(heard.split()),
                "text_heard": heard,
                "assistant_turn_id": self._last.turn_id,
            }
        return await self._turn(event, text)

    async def end(self) -> None:
        """Hang up: send `session.end`. A status other than 2xx is ignored. Raises DeliveryError if no answer comes."""
        event = {
            "type": "session.end",
            "started_at": _iso(self._started),
            "ended_at": _iso(self._now()),
            "duration": round((self._now() - self._started) * 1000),
            "transcript": self._transcript,
        }
        with suppress(BackendError):
            async with self._client.deliver(self._ids() | event) as answer:
                await answer.body()

    async def _turn(self, event: dict[str, Any], text: str) -> Reply:
        reply = self._last = Reply(f"turn-{uuid4().hex[:12]}", self.conversation_id, text)
        try:
            async with self._client.deliver(self._ids() | event | {"turn_id": reply.turn_id}) as answer:
                await self._listen(answer, reply)
        except asyncio.CancelledError:
            reply.interrupted = True
            raise
        finally:
            self._note("assistant", reply.spoken)
        return reply

    async def _listen(self, answer: Answer, reply: Reply) -> None:
        if not answer.ok:
            raise BackendError(await _refusal(answer))
        async for frame in answer.frames():
            _take(frame, reply)
            self._hear(frame)

    def _ids(self) -> dict[str, Any]:
        return {"conversation_id": self.conversation_id, "session_id": self.session_id}

    def _note(self, role: str, text: str) -> None:
        if text:
            self._transcript.append({"role": role, "text": text, "timestamp": round(self._now() * 1000)})

    def _now(self) -> float:
        """Return the time in epoch seconds: the start of the call, plus the time since then by a monotonic clock."""
        return self._started + (time.monotonic() - self._began)


def _take(frame: Received, reply: Reply) -> None:
    reply.total_ms = round(frame.at_ms, 1)
    if frame.type == TTS:
        reply.spoken += str(frame.content)
        if reply.ttfs_ms is None:
            reply.ttfs_ms = round(frame.at_ms, 1)
    elif frame.type == DATA:
        reply.data.append(frame.content)
    elif frame.type == HANGUP:
        reply.hangup = True


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


async def _refusal(answer: Answer) -> str:
    """Return the error message for a status that is not 2xx. For a redirect it names the target."""
    if location := answer.headers.get("location"):
        return (
            f"The backend answered {answer.status}, a redirect to {location}: redirects are not followed, because the "
            "signature belongs to one request. Give the final URL; an app mounted at /voice answers at /voice/api/agent."
        )
    body = (await answer.body())[:500].decode(errors="replace")
    return f"The backend answered {answer.status}: {body or '(an empty body)'}"

"""Messages for failed webhooks, one line each: the event, the status, the answer, and what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from ..exceptions import DeliveryError

SHOWN = 200
"""Maximum characters of an answer in a message."""
QUIET_SECONDS = 10.0
"""Seconds without a status or an event from the backend before a message says so. The delivery keeps waiting."""
_REMEDIES = {
    400: "The backend does not accept this event; look in its answer for the field that it rejects.",
    401: "The secrets differ: give the backend's LAYERCODE_WEBHOOK_SECRET to --secret.",
    403: "The secrets differ, or the backend refuses this machine: compare LAYERCODE_WEBHOOK_SECRET with --secret.",
    404: "There is nothing at this path: give the webhook's full URL with --webhook.",
    405: "This path does not accept POST: give the webhook's full URL with --webhook.",
    413: "Raise the backend's body size limit.",
    422: "The backend does not accept this event; look in its answer for the field that it rejects.",
    429: "The backend limits the request rate; the platform does not slow down for it.",
}
_ADVICE = {
    "timeout": "The delivery was given up. The backend's log may show why the answer takes so long.",
    "broken": "See the backend's log.",
    "malformed": "Send each event of a stream as one line of `data: {json}`, and every other answer as JSON.",
}
"""Advice by the reason of a DeliveryError. The message of `unreachable` already says what to do."""
_END = "End each answer with response.end, then close it."


def refused(event: dict[str, Any], status: int, body: bytes, remedies: Mapping[int, str]) -> str:
    """Return the error text for a status that is not 2xx. `remedies` replaces the usual advice for some statuses."""
    if status in remedies:
        remedy = remedies[status]
    elif 300 <= status < 400:
        remedy = "Redirects are not followed: give the final URL with --webhook."
    else:
        remedy = _REMEDIES.get(status, "See the backend's log." if status >= 400 else "Expected a status of 200.")
    return _line(event, f"the backend answered {status}: {shown(body)}. {remedy}")


def undelivered(event: dict[str, Any], error: DeliveryError) -> str:
    """Return the error text for an answer that is missing, incomplete or malformed."""
    return _line(event, f"{error}. {_ADVICE[error.reason]}" if error.reason in _ADVICE else str(error))


def quiet(event: dict[str, Any], seconds: float, *, answered: bool, streams: bool) -> str:
    """Return the error text for a backend that has sent nothing for `seconds`, before or during its answer.

    `streams` tells whether the answer that has begun is a stream.
    """
    if not answered:
        return _line(event, f"no answer for {seconds:g} s. Answer at once, and stream the reply as it is generated.")
    if not streams:
        return _line(event, f"the body of the answer is not complete after {seconds:g} s. Send the whole body at once.")
    return _line(event, f"the stream has sent no event for {seconds:g} s and is still open. {_END}")


class Quiet:
    """A timer that reports a backend that sends nothing for `QUIET_SECONDS`, at most once for each answer."""

    def __init__(self, event: dict[str, Any], tell: Callable[[str], None]) -> None:
        self._event, self._tell = event, tell
        self._answered = self._streams = self._told = False
        self._timer = self._arm()

    def begin(self, *, streams: bool) -> None:
        """Restart the timer: the status has arrived. `streams` tells whether a stream follows."""
        self._answered, self._streams = True, streams
        self.heard()

    def heard(self) -> None:
        """Restart the timer: an event of the stream has arrived."""
        self._timer.cancel()
        if not self._told:
            self._timer = self._arm()

    def stop(self) -> None:
        """Stop the timer: the answer is over."""
        self._timer.cancel()

    def _arm(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(QUIET_SECONDS, self._report)

    def _report(self) -> None:
        self._told = True
        self._tell(quiet(self._event, QUIET_SECONDS, answered=self._answered, streams=self._streams))


def unended(event: dict[str, Any]) -> str:
    """Return the error text for a stream that ended without `response.end`."""
    return _line(event, f"the stream ended without response.end. {_END}")


def no_stream(event: dict[str, Any], status: int, kind: str, body: bytes) -> str:
    """Return the error text for a webhook of type `message` if the backend's answer is not a stream."""
    expected = f"{status} with content-type {kind or 'none'!r}, not text/event-stream, so nothing is spoken"
    return _line(event, f"the backend answered {expected}: {shown(body)}.")


def shown(body: bytes) -> str:
    """Return the beginning of an answer on one line, with control characters escaped."""
    text = body[: 4 * SHOWN].decode("utf-8", "replace")
    return repr(text[:SHOWN]) + ("…" if len(text) > SHOWN else "") if text.strip() else "an empty body"


def _line(event: dict[str, Any], what: str) -> str:
    text = f"Webhook {event.get('type')}: {what}"
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)

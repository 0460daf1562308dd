"""One line for each webhook that failed: the event, the status, what came back, and what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ..exceptions import DeliveryError

SHOWN = 200
"""Characters of an answer that are shown."""
QUIET_SECONDS = 10.0
"""How long a backend may send nothing before that is reported, while it is still waited for."""
_REMEDIES = {
    400: "The backend does not accept this event; its answer should say which field is wrong.",
    401: "The secrets differ: give the backend's LAYERCODE_WEBHOOK_SECRET to --secret.",
    403: "The secrets differ, or the backend refuses this machine: compare LAYERCODE_WEBHOOK_SECRET with --secret.",
    404: "Nothing is at this path: give the webhook's whole URL with --webhook.",
    405: "Nothing takes a POST at this path: give the webhook's whole URL with --webhook.",
    413: "The backend's limit of a body is too low for this event.",
    422: "The backend does not accept this event; its answer should say which field is wrong.",
    429: "The backend limits requests; the platform does not slow down for it.",
}
_ADVICE = {
    "timeout": "It was given up; see in the backend's log what it waits for.",
    "broken": "See the backend's log.",
    "malformed": "Send each event of a stream as one line of `data: {json}`, and every other answer as JSON.",
}
"""By the reason of a DeliveryError; one that is unreachable says itself what to do."""
_END = "End each answer with response.end, then close it."


def refused(event: dict[str, Any], status: int, body: bytes) -> str:
    """The backend answered with a status that is not 2xx."""
    if 300 <= status < 400:
        remedy = "Redirects are not followed: give the final URL with --webhook."
    else:
        remedy = _REMEDIES.get(status, "See the backend's log." if status >= 400 else "Expected a status of 200.")
    return _line(event, f"the backend answered {status}: {shown(body)}. {remedy}")


def undelivered(event: dict[str, Any], error: DeliveryError) -> str:
    """No whole answer came."""
    return _line(event, f"{error}. {_ADVICE[error.reason]}" if error.reason in _ADVICE else str(error))


def quiet(event: dict[str, Any], seconds: float, *, answered: bool) -> str:
    """Nothing has come for a while, and the answer is not over."""
    if not answered:
        return _line(event, f"no answer for {seconds:g} s. Answer at once, and send the stream as it is made.")
    return _line(event, f"the stream has sent no event for {seconds:g} s and is not closed. {_END}")


class Quiet:
    """Reports once that a backend has been quiet for `QUIET_SECONDS` while its answer is waited for."""

    def __init__(self, event: dict[str, Any], tell: Callable[[str], None]) -> None:
        self._event, self._tell = event, tell
        self._answered = self._told = False
        self._timer = self._arm()

    def heard(self) -> None:
        """The status or an event of the stream has come."""
        self._answered = True
        self._timer.cancel()
        if not self._told:
            self._timer = self._arm()

    def stop(self) -> None:
        """The answer is over."""
        self._timer.cancel()

    def _arm(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(QUIET_SECONDS, self._report)

    def _report(self) -> None:
        self._told = True
        self._tell(quiet(self._event, QUIET_SECONDS, answered=self._answered))


def unended(event: dict[str, Any]) -> str:
    """The stream was closed without its last event."""
    return _line(event, f"the stream ended without response.end. {_END}")


def no_stream(event: dict[str, Any], status: int, kind: str, body: bytes) -> str:
    """The answer to the caller's words is no stream of speech."""
    expected = f"{status} with content-type {kind or 'none'!r}, not text/event-stream, so nothing is spoken"
    return _line(event, f"the backend answered {expected}: {shown(body)}.")


def shown(body: bytes) -> str:
    """The beginning of an answer in one line, with every character that could act on a terminal escaped."""
    text = body[: 4 * SHOWN].decode("utf-8", "replace")
    return repr(text[:SHOWN]) + ("…" if len(text) > SHOWN else "") if text.strip() else "an empty body"


def _line(event: dict[str, Any], what: str) -> str:
    text = f"Webhook {event.get('type')}: {what}"
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)

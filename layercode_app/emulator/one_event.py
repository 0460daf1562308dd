"""Send one signed event to any URL, and show the answer with its times."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from ..exceptions import ConfigurationError
from ..output.visible import json_text
from .protocol import GREETED, NO_TEXT
from .webhooks import Answer, WebhookClient

TURN_TYPES = ("message", "session.start", "welcome", "data")


def build_event(kind: str, data: str) -> dict[str, Any]:
    """Build an event with new ids and the fields of `data`. Raises ConfigurationError if `data` is no JSON object."""
    try:
        fields = json.loads(data)
    except ValueError as error:
        raise ConfigurationError(f"--data {data[:80]!r} is not JSON: {error}.") from error
    if not isinstance(fields, dict):
        raise ConfigurationError(f'--data {data[:80]!r}: expected a JSON object such as {{"text": "hello"}}.')
    event: dict[str, Any] = {
        "type": kind,
        "session_id": f"sess-{uuid4().hex[:12]}",
        "conversation_id": f"conv-{uuid4().hex[:12]}",
    }
    if kind in TURN_TYPES:
        event["turn_id"] = f"turn-{uuid4().hex[:12]}"
    if kind == "message":
        event["text"] = "hello"
    if kind in GREETED:
        event |= NO_TEXT
    return event | fields


async def deliver(url: str, secret: str, event: dict[str, Any], *, as_json: bool, show: Callable[[str], object]) -> int:
    """Send the event and show the answer: each frame of a stream as it arrives, any other body as a whole.

    Return 0 if the status is 2xx, else 1. Raises DeliveryError if the answer is missing or incomplete.
    """
    async with WebhookClient(url, secret) as client, client.deliver(event) as answer:
        if answer.is_stream:
            async for frame in answer.frames():
                payload = json_text(frame.payload)
                at = round(frame.at_ms, 1)
                show(
                    json_text({"at_ms": at, "frame": frame.payload}, ensure_ascii=True)
                    if as_json
                    else f"{at:>9.1f} ms  {payload}"
                )
        else:
            await _show_body(answer, as_json=as_json, show=show)
        return 0 if answer.ok else 1


async def _show_body(answer: Answer, *, as_json: bool, show: Callable[[str], object]) -> None:
    text = (await answer.body()).decode(errors="replace")
    at = round(answer.accepted_ms, 1)
    show(
        json_text({"at_ms": at, "status": answer.status, "body": text}, ensure_ascii=True)
        if as_json
        else f"{at:>9.1f} ms  {answer.status} {text}"
    )

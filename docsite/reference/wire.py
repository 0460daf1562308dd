"""Write the page of events and frames from their types."""

from __future__ import annotations

from typing import Any

from layercode_app.journal.record import DATA, END, ERROR, HANGUP, TTS, Frame
from layercode_app.stream.frames import encode
from layercode_app.webhook import (
    Data,
    InterruptionContext,
    Message,
    SessionEnd,
    SessionStart,
    SessionUpdate,
    TranscriptEntry,
    UnknownEvent,
    Welcome,
)
from layercode_app.webhook.events import BaseEvent

from ..docstrings import class_text
from ..markdown import block, code, table

INTRODUCTION = """# Events and frames

The platform posts *events* as signed JSON to the webhook. An event that is answered with speech gets a stream of
*frames* as Server-Sent Events; every other event gets JSON. Unknown fields are kept, unknown types are acknowledged,
and an optional field with an invalid value is dropped.

The signature is in the header `layercode-signature`: `t=SECONDS,v1=HEX`, the HMAC-SHA256 of `SECONDS.BODY` with the webhook
secret. It is valid for 5 minutes. [`sign`](api.md#sign) and [`verify`](api.md#verify) make and check it.
"""
EVENTS: tuple[type[BaseEvent], ...] = (SessionStart, Welcome, Message, Data, SessionUpdate, SessionEnd, UnknownEvent)
FRAMES = {
    TTS: ("Text to speak. Speech begins while further text arrives.", "Two croissants. "),
    DATA: ("JSON for the caller's page.", {"basket": {"croissant": 2}}),
    ERROR: ("The turn failed. The field is `error`.", "internal"),
    HANGUP: ("End the call after all text has been spoken.", None),
    END: ("The end of the turn. Each stream has exactly one, as its last frame.", None),
}
"""What each type of frame does, and an example of its content."""


def page() -> str:
    """Return the page: the fields of each event, then the frames."""
    parts = [INTRODUCTION, "## Events\n", "Every event has these fields:\n", _fields(BaseEvent)]
    for event in EVENTS:
        own = event.model_fields.keys() - BaseEvent.model_fields.keys()
        kind = event.model_fields["type"].default
        name = "Any other type" if event is UnknownEvent else code(kind)
        parts += [f"### {name}\n", class_text(event) + "\n"]
        parts += [_fields(event, own)] if own else []
    for part in (InterruptionContext, TranscriptEntry):
        parts += [f"### {part.__name__}\n", class_text(part) + "\n", _fields(part)]
    parts += ["## Frames\n", *(_frame(kind, *about) for kind, about in FRAMES.items())]
    return "\n".join(parts)


def _frame(kind: str, meaning: str, content: Any) -> str:
    example = encode(Frame(kind, content), "turn-1").decode()
    return "\n".join([f"### {code(kind)}\n", meaning + "\n", block(example, "text")])


def _fields(model: Any, only: set[str] | None = None) -> str:
    rows = [
        (code(name), code(_type(info.annotation)), "yes" if info.is_required() else "")
        for name, info in model.model_fields.items()
        if only is None or name in only
    ]
    return table(("field", "type", "required"), rows)


def _type(annotation: Any) -> str:
    """Return a short name of a type: without module names and `Annotated`, and "time" for a datetime."""
    text = str(getattr(annotation, "__name__", annotation)) if isinstance(annotation, type) else str(annotation)
    for long, short in (("typing.", ""), ("datetime.datetime", "time"), ("layercode_app.webhook.events.", "")):
        text = text.replace(long, short)
    return text.partition("Annotated[")[2].partition(",")[0] or text if "Annotated[" in text else text

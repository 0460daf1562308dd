"""The types of LayerCode's events, and `parse_event`, which parses a verified body into one of them.

The platform may add fields and types at any time, and callers must still be answered. So unknown fields are kept
(`model_extra`), and an unknown `type` becomes an `UnknownEvent`. An optional field with an invalid value is dropped
(`lenient.py`). Text is well-formed Unicode, and numbers fit every JSON parser (`wellformed.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    TypeAdapter,
    ValidationError,
)

from ..exceptions import EventError
from ..wellformed import load_odd_json, plain
from .lenient import drop_unreadable, tell_dropped

Identifier: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=512)]


def _timestamp(value: object) -> object:
    """Convert a number of epoch milliseconds to a time. Return other values unchanged: pydantic parses ISO strings."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value / 1000, UTC)
        except (OverflowError, OSError, ValueError) as error:
            raise ValueError(f"{value!r} is not a time in epoch milliseconds") from error
    return value


def _null_as(absent: object) -> Callable[[object], object]:
    """Return a validator that replaces null by `absent`, the default of the field."""
    return lambda value: absent if value is None else value


Timestamp: TypeAlias = Annotated[datetime, BeforeValidator(_timestamp)]
AnyJson: TypeAlias = Annotated[Any, AfterValidator(plain)]
JsonObject: TypeAlias = Annotated[dict[str, Any], AfterValidator(plain)]
Count: TypeAlias = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)

    # `init=False` is for type checkers: without it they would make this field an argument of the constructor.
    __pydantic_extra__: dict[str, AnyJson] = Field(init=False)


class InterruptionContext(_Wire):
    """What the caller heard of the agent's previous turn before they interrupted it. Every field is optional."""

    previous_turn_interrupted: bool | None = None
    words_heard: Count | None = None
    text_heard: str | None = None
    assistant_turn_id: str | None = None


class TranscriptEntry(_Wire):
    """One line of the platform's transcript in `session.end`."""

    role: str
    text: Annotated[str, BeforeValidator(_null_as(""))] = ""
    timestamp: Timestamp | None = None


class BaseEvent(_Wire):
    """The fields of every event.

    `conversation_id` stays the same across connections, and history is stored under it. `session_id` identifies one
    connection.
    """

    type: str
    session_id: Identifier
    conversation_id: Identifier
    metadata: JsonObject | None = None
    custom_metadata: JsonObject | None = None
    from_phone_number: str | None = None
    to_phone_number: str | None = None


class SessionStart(BaseEvent):
    """A session began. With a `turn_id` the greeting is streamed; without a `turn_id` the event is only acknowledged.

    `text` is empty, because the caller has not spoken yet.
    """

    type: Literal["session.start"] = "session.start"
    turn_id: Identifier | None = None
    text: str | None = None


class Welcome(BaseEvent):
    """A request for the greeting, in the platform's newer style. Without a `turn_id` it is only acknowledged."""

    type: Literal["welcome"] = "welcome"
    turn_id: Identifier | None = None
    text: str | None = None


class Message(BaseEvent):
    """The caller said `text`. The answer is a stream."""

    type: Literal["message"] = "message"
    turn_id: Identifier
    text: str
    interruption_context: InterruptionContext | None = None


class Data(BaseEvent):
    """The caller's page sent `data`, which can be any JSON. The answer is plain JSON; a running turn continues."""

    type: Literal["data"] = "data"
    turn_id: str | None = None
    data: AnyJson = None


class SessionUpdate(BaseEvent):
    """A session changed. The only known change: its recording is ready or has failed.

    `recording_duration` is in seconds.
    """

    type: Literal["session.update"] = "session.update"
    recording_status: str | None = None
    recording_url: str | None = None
    recording_duration: float | None = None
    error_message: str | None = None


class SessionEnd(BaseEvent):
    """A session ended. `duration` is in milliseconds; the durations whose names end in `_seconds` are in seconds."""

    type: Literal["session.end"] = "session.end"
    agent_id: str | None = None
    started_at: Timestamp | None = None
    ended_at: Timestamp | None = None
    duration: float | None = None
    transcription_duration_seconds: float | None = None
    tts_duration_seconds: float | None = None
    latency: float | None = None
    ip_address: str | None = None
    country_code: str | None = None
    recording_status: str | None = None
    transcript: Annotated[list[TranscriptEntry], BeforeValidator(_null_as([]))] = Field(default_factory=list)


class UnknownEvent(BaseEvent):
    """An event of an unknown type. It is acknowledged and passed to `on_event` hooks.

    Only its `type` is required.
    """

    session_id: str = ""
    conversation_id: str = ""


_KNOWN: dict[str, type[BaseEvent]] = {
    "session.start": SessionStart,
    "welcome": Welcome,
    "message": Message,
    "data": Data,
    "session.update": SessionUpdate,
    "session.end": SessionEnd,
}


def _tag(value: object) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return kind if isinstance(kind, str) and kind in _KNOWN else "unknown"


Event: TypeAlias = Annotated[
    Annotated[SessionStart, Tag("session.start")]
    | Annotated[Welcome, Tag("welcome")]
    | Annotated[Message, Tag("message")]
    | Annotated[Data, Tag("data")]
    | Annotated[SessionUpdate, Tag("session.update")]
    | Annotated[SessionEnd, Tag("session.end")]
    | Annotated[UnknownEvent, Tag("unknown")],
    Discriminator(_tag),
]
"""Any event: `parse_event` returns it, and `on_event` hooks receive it. Its `type` tells the events apart."""
TurnEvent: TypeAlias = SessionStart | Welcome | Message
"""An event that is answered with a stream of speech if it has a `turn_id`."""

_any_event: TypeAdapter[Event] = TypeAdapter(Event)
_known_event: TypeAdapter[Event] = TypeAdapter(
    Annotated[SessionStart | Welcome | Message | Data | SessionUpdate | SessionEnd, Discriminator("type")]
)
"""Parses known types only, in half the time of `_any_event`: pydantic's own parser selects the model by `type`."""


def parse_event(body: bytes) -> Event:
    """Parse the body of a verified webhook into an event.

    Raises EventError if the body is not a JSON object, or if a required field is wrong. The error names the first wrong
    field and what was expected.
    """
    try:
        return _known_event.validate_json(body)
    except ValidationError as error:
        return _parse_odd(body, error)


def _parse_odd(body: bytes, refusal: ValidationError) -> Event:
    """Parse a body that `_known_event` refused: allow unknown types, and drop optional fields with invalid values."""
    try:
        value = load_odd_json(body)
    except ValueError:
        raise EventError(_reason(refusal)) from refusal
    dropped: list[str] = []
    while True:
        try:
            event = _any_event.validate_python(value)
        except ValidationError as error:
            names = drop_unreadable(value, error, _KNOWN.get(_tag(value), UnknownEvent))
            if not names:
                raise EventError(_reason(error)) from error
            dropped += names
        else:
            if dropped:
                tell_dropped(value, dropped)
            return event


def _reason(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return f"The body is not JSON in UTF-8: {first.get('ctx', {}).get('error', first['msg'])}."
    location = ".".join(str(part) for part in first["loc"] if part not in _KNOWN and part != "unknown")
    if not location:
        return "The body is not a JSON object; expected an object with type, session_id and conversation_id."
    return f"The event's field {location!r} is wrong: {first['msg'][0].lower()}{first['msg'][1:]}."

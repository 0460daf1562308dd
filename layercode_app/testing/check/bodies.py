"""Send malformed bodies with a valid signature. The answer must be a 4xx with a reason, and reveal no internals."""

from __future__ import annotations

from ...emulator.javascript import stringify
from ...webhook import HEADER
from .limits import FailedError
from .model import check
from .probe import Exchange, Probe

GROUP = "bodies"
CRASH = "otherwise each such request causes an error report, and an attacker can keep the server busy with them"
INTERNALS = ("Traceback (most recent call last)", 'File "/', "node_modules/", "    at ", "goroutine ")


async def _post(probe: Probe, body: bytes) -> Exchange:
    return await probe.post(body, {HEADER: probe.sign(body)})


async def _refused(probe: Probe, body: bytes) -> None:
    exchange = await _post(probe, body)
    if exchange.error or not 400 <= exchange.status < 500:
        raise FailedError(f"for {body[:40]!r}: expected 400, got {exchange.summary}")


@check(
    "bodies.not-json",
    "a body that is not JSON is refused with 400",
    why=CRASH,
    fix="Catch the exceptions of the JSON parser.",
)
async def not_json(probe: Probe) -> None:
    """Send an empty body, truncated JSON, and other formats."""
    for body in (b"", b"{", b'{"type": "message"', b"<xml/>", b"{'type': 1}"):
        await _refused(probe, body)


@check(
    "bodies.not-utf8", "a body that is not UTF-8 is refused with 400", why=CRASH, fix="Catch the decoder's exceptions."
)
async def not_utf8(probe: Probe) -> None:
    """Send invalid bytes, alone and inside a JSON text."""
    for body in (b"\xff\xfe\x00", b'{"type": "message", "text": "\xff"}'):
        await _refused(probe, body)


@check(
    "bodies.not-an-object",
    "a body that is not a JSON object is refused with 400",
    why=CRASH,
    fix="Check the type of the parsed value.",
)
async def not_an_object(probe: Probe) -> None:
    """Send lists, null, a number and a text."""
    for body in (b"[]", b"null", b"1", b'"message"', b'[{"type": "message"}]'):
        await _refused(probe, body)


@check(
    "bodies.fields",
    "an event without a required field is refused with 400",
    why="if an incomplete event is accepted, its sender does not notice the mistake",
    fix="Validate type, session_id and conversation_id of every event, and also turn_id and text of a message.",
    severity="warning",
)
async def fields(probe: Probe) -> None:
    """Send events with missing fields and with wrong types."""
    await _refused(probe, b"{}")
    event = probe.talk().event("message", text="Hello")
    for broken in ({"text": ...}, {"text": 5}, {"turn_id": ...}, {"conversation_id": ...}, {"conversation_id": 5}):
        whole = {name: value for name, value in (event | broken).items() if value is not ...}
        await _refused(probe, stringify(whole).encode())


@check(
    "bodies.no-internals",
    "a refusal gives a reason and no internals",
    why="tracebacks and file paths help an attacker",
    fix="Answer with a short reason, and write the traceback to the log.",
)
async def no_internals(probe: Probe) -> None:
    """Search the answers to several malformed bodies for tracebacks and file paths."""
    for body in (b"{", b"\xff", b"[]", b"{}", b'{"type": 5}'):
        text = (await _post(probe, body)).body.decode(errors="replace")
        for mark in INTERNALS:
            if mark in text:
                raise FailedError(f"for {body!r}: expected no internals, found {mark!r} in the answer {text[:120]!r}")


@check(
    "bodies.afterwards",
    "a call is still answered after malformed requests",
    why="one bad request must not stop the service",
    fix="Look for state that a bad request leaves behind, such as a lock that is never released.",
)
async def afterwards(probe: Probe) -> None:
    """Send a valid turn, after the malformed requests of the other checks."""
    (await probe.talk().say("Hello again")).needs_whole_turn()

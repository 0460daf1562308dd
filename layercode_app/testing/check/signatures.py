"""Check the signature header: `layercode-signature: t=<unix seconds>,v1=<hex>` over the raw bytes."""

from __future__ import annotations

import json
import time
from typing import Any

from ...emulator.javascript import stringify
from ...webhook import HEADER, sign
from .limits import FailedError
from .model import check
from .probe import Probe

GROUP = "signature"
FORGE = "anyone who knows the URL could act as the platform, use your model at your cost, and read your agent's data"
DAY = 86_400


async def _refused(probe: Probe, header: Any, *, body: bytes | None = None) -> None:
    """Raise FailedError if a message with this header is not answered with 401."""
    if body is None:
        body = stringify(probe.talk().event("message", text="Hello")).encode()
    headers = {} if header is None else {HEADER: header}
    (await probe.post(body, headers)).needs_status(401)


def _body(probe: Probe) -> bytes:
    return stringify(probe.talk().event("message", text="Hello")).encode()


@check(
    "signature.right",
    "a signed message is answered",
    why="without it nothing else works",
    fix="Check that --secret is the backend's webhook secret. Verify hex(hmac_sha256(secret, t + '.' + raw body)).",
)
async def right(probe: Probe) -> None:
    """Send an ordinary message with a valid signature."""
    (await probe.talk().say("Hello")).needs_stream()


@check(
    "signature.raw-bytes",
    "the signature is verified over the raw bytes",
    why="the platform formats JSON differently from your language, so some real calls would be refused",
    fix="Verify the signature over the raw bytes of the request, not over JSON that you parsed and serialized again.",
)
async def raw_bytes(probe: Probe) -> None:
    """Send a signed body with white space, escapes and numbers that another JSON library would write differently."""
    event = probe.talk().event("message", text="Grüße 2.0", metadata={"ratio": 2.0, "10": 1, "9": 1e-7})
    body = json.dumps(event, indent=3, ensure_ascii=False).replace("ü", "\\u00fc", 1).encode()
    (await probe.post(body, {HEADER: probe.sign(body)})).needs_stream()


@check(
    "signature.missing",
    "a request without a signature is refused with 401",
    why=FORGE,
    fix="Answer 401 if the header is missing.",
)
async def missing(probe: Probe) -> None:
    """Send a message without the header."""
    await _refused(probe, None)


@check(
    "signature.wrong",
    "a wrong signature is refused with 401",
    why=FORGE,
    fix="Compare in constant time, and refuse signatures that differ.",
)
async def wrong(probe: Probe) -> None:
    """Send a digest of zeros, the signature of another body, and a signature made with another secret."""
    body = _body(probe)
    await _refused(probe, f"t={int(time.time())},v1={'0' * 64}", body=body)
    await _refused(probe, probe.sign(body + b" "), body=body)
    await _refused(probe, sign(body, "test-not-the-secret"), body=body)


@check(
    "signature.time-is-signed",
    "the timestamp is part of the signed text",
    why="a recorded request could be replayed for ever with a new timestamp",
    fix="Compute the signature of t + '.' + body, with the t of the header.",
)
async def time_is_signed(probe: Probe) -> None:
    """Send a valid digest with a timestamp other than the signed one."""
    body, now = _body(probe), int(time.time())
    digest = probe.sign(body, timestamp=now - 5).partition("v1=")[2]
    await _refused(probe, f"t={now},v1={digest}", body=body)


@check(
    "signature.stale",
    "a signature older than five minutes is refused with 401",
    why="a recorded request could be replayed for ever",
    fix="Refuse if t is more than 300 s in the past.",
)
async def stale(probe: Probe) -> None:
    """Send two requests with old signatures: the first is 330 seconds old, the second one day."""
    body = _body(probe)
    for age in (330, DAY):
        await _refused(probe, probe.sign(body, timestamp=int(time.time()) - age), body=body)


@check(
    "signature.future",
    "a signature from the future is refused with 401",
    why="a recorded request with a future timestamp could be replayed until that time",
    fix="Refuse if t is more than 300 s before or after the time of your clock: compare the absolute difference.",
)
async def future(probe: Probe) -> None:
    """Send two requests with signatures from the future: the first is 330 seconds ahead, the second one day."""
    body = _body(probe)
    for ahead in (330, DAY):
        await _refused(probe, probe.sign(body, timestamp=int(time.time()) + ahead), body=body)


@check(
    "signature.tolerance",
    "a signature four minutes old or ahead is accepted",
    why="clocks drift, so a server that allows only a small time difference refuses real calls",
    fix="Accept t within 300 s of your clock.",
)
async def tolerance(probe: Probe) -> None:
    """Send signatures four minutes old and four minutes ahead."""
    for drift in (-240, 240):
        body = _body(probe)
        header = probe.sign(body, timestamp=int(time.time()) + drift)
        (await probe.post(body, {HEADER: header})).needs_stream()


@check(
    "signature.rotation",
    "a header with several v1 parts is accepted if one of them is valid",
    why="while a secret is rotated, requests carry two signatures, and a server that reads only one refuses calls",
    fix="Collect all v1 parts, and accept the request if one of them is valid.",
)
async def rotation(probe: Probe) -> None:
    """Send two requests whose headers have a valid and an invalid v1 part, once in this order and once reversed."""
    for parts in ("{right},{wrong}", "{wrong},{right}"):
        body = _body(probe)
        stated, _, digest = probe.sign(body).partition(",")
        values = parts.format(right=digest, wrong=f"v1={'0' * 64}")
        exchange = await probe.post(body, {HEADER: f"{stated},{values}"})
        try:
            exchange.needs_stream()
        except FailedError as error:
            raise FailedError(f"with {parts}: {error}") from None


@check(
    "signature.garbage",
    "a malformed header is refused with 401, never a 5xx",
    why="an attacker could keep the server busy, and fill its logs and error reports",
    fix="Treat a header that cannot be parsed as a wrong signature.",
)
async def garbage(probe: Probe) -> None:
    """Send incomplete, mistyped and very long headers."""
    now = int(time.time())
    for header in ("garbage", "t=", f"t={now}", f"v1={'0' * 64}", "t=now,v1=x", f"t={now},v1=", "=,=,=", "t" * 5000):
        await _refused(probe, header)
    await _refused(probe, f"t={'9' * 400},v1={'0' * 64}")


@check(
    "signature.non-ascii",
    "a non-ASCII header is refused with 401, never a 5xx",
    why="in several programming languages, the constant-time comparison of texts raises an error for non-ASCII text",
    fix="Compare bytes.",
)
async def non_ascii(probe: Probe) -> None:
    """Send a signature of non-ASCII bytes. Then send a timestamp in Arabic-Indic digits, with a non-ASCII signature."""
    now = int(time.time())
    for value in (f"t={now},v1=".encode() + b"\xff\xfe" * 32, "t=١٢٣,v1=é".encode()):
        await _refused(probe, value)


@check(
    "signature.first",
    "the signature is verified before the body is parsed",
    why="an attacker could probe your parser and learn from its error messages",
    fix="Verify first, and parse only bodies with a valid signature.",
)
async def first(probe: Probe) -> None:
    """Send malformed bodies without a signature."""
    for body in (b"{", b"\xff", b"[]", b""):
        await _refused(probe, None, body=body)

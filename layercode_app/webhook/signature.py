"""Sign and verify webhook bodies: `v1 = hex(hmac_sha256(secret, t + "." + raw body))`.

Source: the platform's webhook documentation. All functions work on the raw bytes, before any decoding.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Sequence
from functools import lru_cache

from ..exceptions import SignatureError

HEADER = "layercode-signature"
TOLERANCE_SECONDS = 300
"""Maximum difference in seconds between a signature's time and our clock, in the past or the future."""


def sign(body: bytes, secret: str, *, timestamp: int | None = None) -> str:
    """Return the `layercode-signature` header for a body: `t=<unix seconds>,v1=<hex>`."""
    at = str(int(time.time()) if timestamp is None else timestamp)
    return f"t={at},v1={_digest(secret, at, body)}"


def verify(
    header: str | None,
    body: bytes,
    secrets: Sequence[str],
    *,
    now: float | None = None,
    tolerance: float = TOLERANCE_SECONDS,
) -> float:
    """Check a signature header; return the seconds by which our clock is ahead of the signature's time.

    Raises SignatureError unless a `v1` of the header matches one of the secrets and the header's time `t` is within
    `tolerance` seconds.

    Several secrets allow rotation. An empty secret never matches, because anyone could sign with it. Every `v1` is
    compared with every secret, in constant time, so the time taken does not reveal a near match.
    """
    stated, candidates = _parse(header)
    fits = False
    for secret in filter(None, secrets):
        expected = _digest(secret, stated, body).encode()
        for candidate in candidates:
            # Compare bytes: compare_digest refuses non-ASCII text, which a header may contain.
            fits |= hmac.compare_digest(expected, candidate.encode("utf-8", "replace"))
    skew = (time.time() if now is None else now) - int(stated)
    if abs(skew) > tolerance:
        raise SignatureError(_out_of_time(skew, tolerance, fits=fits))
    if not fits:
        raise SignatureError(
            "The signature does not fit the body. Is LAYERCODE_WEBHOOK_SECRET the secret of this agent's webhook?"
        )
    return skew


def _out_of_time(skew: float, tolerance: float, *, fits: bool) -> str:
    """Return the error text for a signature whose time differs from our clock by more than `tolerance` seconds.

    If the signature itself matches (`fits`), the text blames the clock; otherwise it blames the secret.
    """
    when, ours = ("old", "ahead") if skew > 0 else ("in the future", "behind")
    reason = f"The signature's time is {abs(skew):.0f} s {when}; at most {tolerance:.0f} s is accepted. "
    if fits:
        replayed = ", or this is a replay" if skew > 0 else ""
        return (
            f"{reason}The signature itself fits, so this machine's clock is {abs(skew):.0f} s {ours} of the sender's"
            f"{replayed}. Set the clock by NTP; `layercode-create-app doctor` compares it with the platform's."
        )
    hint = "Is LAYERCODE_WEBHOOK_SECRET the secret of this agent's webhook?"
    return f"{reason}The signature does not fit the body either. {hint}"


def _digest(secret: str, at: str, body: bytes) -> str:
    digest = _keyed(secret).copy()
    digest.update(at.encode() + b"." + body)
    return digest.hexdigest()


@lru_cache(maxsize=64)
def _keyed(secret: str) -> hmac.HMAC:
    """Return an HMAC keyed with the secret. Copy it before use: it is cached, because keying is slow."""
    return hmac.new(secret.encode(), digestmod="sha256")


def _parse(header: str | None) -> tuple[str, list[str]]:
    if not header:
        raise SignatureError(f"The {HEADER} header is missing; expected t=<unix seconds>,v1=<hex>.")
    stated = ""
    candidates: list[str] = []
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name == "t":
            stated = value
        elif name == "v1" and value:
            candidates.append(value)
    # isascii first: isdigit accepts digits of every script, and int() of 4,300 digits raises.
    if not (stated.isascii() and stated.isdigit() and len(stated) <= 15):
        raise SignatureError(f"The {HEADER} header has no valid time; expected t=<unix seconds>,v1=<hex>.")
    if not candidates:
        raise SignatureError(f"The {HEADER} header has no v1 part; expected t=<unix seconds>,v1=<hex>.")
    return stated, candidates

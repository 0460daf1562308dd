"""Servers that are correct except for one fault in how they handle signatures.

The docstring of each class states the rule of the protocol that the server breaks.
"""

from __future__ import annotations

import contextlib
import json
from typing import Any

from ..server import Event, RefusedError, Server


class AcceptsUnsigned(Server):
    """Breaks this rule: a request without the signature header is answered with 401."""

    def verify(self, header: bytes | None, body: bytes) -> None:
        if header is not None:
            super().verify(header, body)


class AcceptsAnySignature(Server):
    """Breaks this rule: a request whose signature does not fit its body is answered with 401."""

    def fits(self, expected: bytes, signatures: list[bytes]) -> bool:
        return True


class AcceptsStale(Server):
    """Breaks this rule: a signature whose time is more than 300 s in the past is refused."""

    def check_time(self, stated: int) -> None:
        import time

        if stated - time.time() > 300:
            raise RefusedError(401, "from the future")


class AcceptsFuture(Server):
    """Breaks this rule: a signature whose time is more than 300 s in the future is refused."""

    def check_time(self, stated: int) -> None:
        import time

        if time.time() - stated > 300:
            raise RefusedError(401, "stale")


class VerifiesReserialised(Server):
    """Breaks this rule: the signature is verified over the raw bytes of the body.

    This server parses the body, serializes the JSON again, and verifies the signature over the result.
    """

    def verify(self, header: bytes | None, body: bytes) -> None:
        with contextlib.suppress(ValueError):
            body = json.dumps(json.loads(body), separators=(",", ":")).encode()
        super().verify(header, body)


class ReadsFirstSignatureOnly(Server):
    """Breaks this rule: while a secret is rotated, a header has several v1 parts, and one valid part is enough."""

    def fits(self, expected: bytes, signatures: list[bytes]) -> bool:
        return super().fits(expected, signatures[:1])


class ReadsLastSignatureOnly(Server):
    """Breaks this rule: if a header has several v1 parts, the valid one may come before or after the others."""

    def fits(self, expected: bytes, signatures: list[bytes]) -> bool:
        return super().fits(expected, signatures[-1:])


class CrashesOnGarbageHeader(Server):
    """Breaks this rule: a malformed signature header is answered with 401, never with 500."""

    def verify(self, header: bytes | None, body: bytes) -> None:
        if header is not None and b"t=" not in header:
            raise RefusedError(500, "internal server error")
        super().verify(header, body)


class CrashesOnNonAsciiHeader(Server):
    """Breaks this rule: a signature header that is not ASCII is answered with 401, never with 500."""

    def verify(self, header: bytes | None, body: bytes) -> None:
        if header is not None and not header.isascii():
            raise RefusedError(500, "internal server error")
        super().verify(header, body)


class ParsesBeforeVerifying(Server):
    """Breaks this rule: a malformed body is answered with 400 only if its signature is valid."""

    def read(self, scope: Any, body: bytes) -> Event:
        self.parse(body)
        return super().read(scope, body)

"""Servers that are right but for one fault of signatures; in its docstring, what the protocol says of it."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from ..server import Event, RefusedError, Server


class AcceptsUnsigned(Server):
    """A header that is missing is a 401."""

    def verify(self, header: bytes | None, body: bytes) -> None:
        if header is not None:
            super().verify(header, body)


class AcceptsAnySignature(Server):
    """A signature that does not fit the body is a 401."""

    def fits(self, expected: bytes, signatures: list[bytes]) -> bool:
        return True


class AcceptsStale(Server):
    """A time more than 300 s in the past is refused."""

    def check_time(self, stated: int) -> None:
        import time

        if stated - time.time() > 300:
            raise RefusedError(401, "from the future")


class AcceptsFuture(Server):
    """A time more than 300 s in the future is refused."""

    def check_time(self, stated: int) -> None:
        import time

        if time.time() - stated > 300:
            raise RefusedError(401, "stale")


class VerifiesReserialised(Server):
    """The signature is over the raw bytes."""

    def verify(self, header: bytes | None, body: bytes) -> None:
        with contextlib.suppress(ValueError):
            body = json.dumps(json.loads(body), separators=(",", ":")).encode()
        super().verify(header, body)


class ReadsFirstSignatureOnly(Server):
    """Several v1 parts are accepted, while a secret is rotated."""

    def fits(self, expected: bytes, signatures: list[bytes]) -> bool:
        return super().fits(expected, signatures[:1])


class ReadsLastSignatureOnly(Server):
    """Several v1 parts are accepted, in any order."""

    def fits(self, expected: bytes, signatures: list[bytes]) -> bool:
        return super().fits(expected, signatures[-1:])


class CrashesOnGarbageHeader(Server):
    """A header that is garbage is a 401, never a 500."""

    def verify(self, header: bytes | None, body: bytes) -> None:
        if header is not None and b"t=" not in header:
            raise RefusedError(500, "internal server error")
        super().verify(header, body)


class CrashesOnNonAsciiHeader(Server):
    """A header that is not ASCII is a 401, never a 500."""

    def verify(self, header: bytes | None, body: bytes) -> None:
        if header is not None and not header.isascii():
            raise RefusedError(500, "internal server error")
        super().verify(header, body)


class ParsesBeforeVerifying(Server):
    """A malformed body is a 400 only after the signature held."""

    def read(self, scope: Any, body: bytes) -> Event:
        self.parse(body)
        return super().read(scope, body)

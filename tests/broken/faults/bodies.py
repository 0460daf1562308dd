"""Servers that are right but for one fault of bodies; in its docstring, what the protocol says of it."""

from __future__ import annotations

import json

from ..server import Event, RefusedError, Server


class CrashesOnNoJson(Server):
    """A body that is not JSON is a 400, never a 500."""

    def parse(self, body: bytes) -> Event:
        try:
            json.loads(body)
        except UnicodeDecodeError:
            pass
        except ValueError:
            raise RefusedError(500, "internal server error") from None
        return super().parse(body)


class CrashesOnNoUtf8(Server):
    """A body that is not UTF-8 is a 400, never a 500."""

    def parse(self, body: bytes) -> Event:
        try:
            body.decode()
        except UnicodeDecodeError:
            raise RefusedError(500, "internal server error") from None
        return super().parse(body)


class CrashesOnAList(Server):
    """A body that is no object is a 400, never a 500."""

    def parse(self, body: bytes) -> Event:
        if body.startswith(b"["):
            raise RefusedError(500, "internal server error")
        return super().parse(body)


class AcceptsNothing(Server):
    """A body without type or ids is a 400."""

    def parse(self, body: bytes) -> Event:
        return super().parse(body) if body.strip() != b"{}" else {"type": "", "session_id": "", "conversation_id": ""}


class LeaksItsTraceback(Server):
    """A refusal gives a reason and no internals."""

    def parse(self, body: bytes) -> Event:
        try:
            return super().parse(body)
        except RefusedError as refused:
            raise RefusedError(
                refused.status, 'Traceback (most recent call last):\n  File "/srv/app.py", line 3'
            ) from None

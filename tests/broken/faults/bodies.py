"""Servers that are correct except for one fault in how they handle request bodies.

The docstring of each class states the rule of the protocol that the server breaks.
"""

from __future__ import annotations

import json

from ..server import Event, RefusedError, Server


class CrashesOnNoJson(Server):
    """Breaks this rule: a body that is not JSON is answered with 400, never with 500."""

    def parse(self, body: bytes) -> Event:
        try:
            json.loads(body)
        except UnicodeDecodeError:
            pass
        except ValueError:
            raise RefusedError(500, "internal server error") from None
        return super().parse(body)


class CrashesOnNoUtf8(Server):
    """Breaks this rule: a body that is not UTF-8 is answered with 400, never with 500."""

    def parse(self, body: bytes) -> Event:
        try:
            body.decode()
        except UnicodeDecodeError:
            raise RefusedError(500, "internal server error") from None
        return super().parse(body)


class CrashesOnAList(Server):
    """Breaks this rule: a body that is not a JSON object is answered with 400, never with 500."""

    def parse(self, body: bytes) -> Event:
        if body.startswith(b"["):
            raise RefusedError(500, "internal server error")
        return super().parse(body)


class AcceptsNothing(Server):
    """Breaks this rule: an event without its type and ids is answered with 400."""

    def parse(self, body: bytes) -> Event:
        return super().parse(body) if body.strip() != b"{}" else {"type": "", "session_id": "", "conversation_id": ""}


class LeaksItsTraceback(Server):
    """Breaks this rule: the answer to a refused request gives a reason, and no internals such as a traceback."""

    def parse(self, body: bytes) -> Event:
        try:
            return super().parse(body)
        except RefusedError as refused:
            raise RefusedError(
                refused.status, 'Traceback (most recent call last):\n  File "/srv/app.py", line 3'
            ) from None

"""A transport for Sentry that reports which events were accepted."""

from __future__ import annotations

from typing import Any

from sentry_sdk.transport import HttpTransport


class AnsweredTransport(HttpTransport):
    """A version of Sentry's HTTP transport that calls `on_delivered` after each event that Sentry accepted.

    The SDK has a public hook only for dropped events, so this class overrides a private method of the SDK. In an SDK
    release without that method, `on_delivered` is never called: the beginning of an outage is still logged, but not its
    end.
    """

    def on_delivered(self) -> None:
        """Handle an event that Sentry accepted. Subclasses override this method; by default it does nothing."""

    def _handle_response(self, response: Any, envelope: Any) -> None:
        super()._handle_response(response, envelope)
        if 200 <= response.status < 300:
            self.on_delivered()

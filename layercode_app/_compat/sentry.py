"""The answers that Sentry's transport gets."""

from __future__ import annotations

from typing import Any

from sentry_sdk.transport import HttpTransport


class AnsweredTransport(HttpTransport):
    """Sentry's transport, which calls `on_delivered` after each event that Sentry accepted.

    The SDK has a public hook for dropped events only. In a release without the private method, `on_delivered` is not
    called: an outage is still logged, and its end is not.
    """

    def on_delivered(self) -> None:
        """Do nothing; to be overridden."""

    def _handle_response(self, response: Any, envelope: Any) -> None:
        super()._handle_response(response, envelope)
        if 200 <= response.status < 300:
            self.on_delivered()

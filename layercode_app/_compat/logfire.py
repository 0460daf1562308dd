"""Read the private configuration of Logfire's SDK."""

from __future__ import annotations

from collections.abc import Sequence


def span_processors() -> Sequence[object] | None:
    """Return the span processors that Logfire was configured with, or None if this release does not expose them."""
    import logfire

    found: Sequence[object] | None = getattr(
        getattr(logfire.DEFAULT_LOGFIRE_INSTANCE, "config", None), "additional_span_processors", None
    )
    return found


def configured() -> bool:
    """Return whether some code has configured Logfire; False if this release of Logfire cannot tell."""
    import logfire

    return bool(getattr(getattr(logfire.DEFAULT_LOGFIRE_INSTANCE, "config", None), "_initialized", False))

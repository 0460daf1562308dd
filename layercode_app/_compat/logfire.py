"""The configuration of Logfire's SDK."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def span_processors(instance: Any) -> Sequence[object] | None:
    """Return the span processors that a Logfire was configured with, or None if this release does not show them."""
    found: Sequence[object] | None = getattr(getattr(instance, "config", None), "additional_span_processors", None)
    return found

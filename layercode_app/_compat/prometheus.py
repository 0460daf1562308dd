"""The collectors in the registry of the Prometheus client."""

from __future__ import annotations

from typing import Any


def collectors() -> list[Any]:
    """Return the collectors of the global registry, without running any of them.

    The public `REGISTRY.collect()` runs them all, also those that read files or query servers. So without the private
    mapping the list is empty: `/metrics` lacks the metrics that an agent file makes with the client itself.
    """
    from prometheus_client import REGISTRY

    return list(getattr(REGISTRY, "_collector_to_names", ()))

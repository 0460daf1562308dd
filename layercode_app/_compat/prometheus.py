"""Read the collectors in the registry of the Prometheus client."""

from __future__ import annotations

from typing import Any


def collectors() -> list[Any]:
    """Return the collectors of the global registry, without running any of them.

    The public method `REGISTRY.collect()` would run all collectors, even collectors that read files or query servers.
    So the collectors are taken from a private mapping of the registry. If the installed release of the client lacks
    this mapping, the list is empty, and `/metrics` lacks the metrics that an agent file creates itself.
    """
    from prometheus_client import REGISTRY

    return list(getattr(REGISTRY, "_collector_to_names", ()))

"""Read the collectors in the registry of the Prometheus client."""

from __future__ import annotations

from typing import Any


def collectors() -> list[Any]:
    """Return the collectors of the global registry, without running any of them.

    The public `REGISTRY.collect()` would run all of them, including those that read files or query servers. If the
    private mapping is missing, the list is empty, and `/metrics` lacks the metrics that an agent file creates itself.
    """
    from prometheus_client import REGISTRY

    return list(getattr(REGISTRY, "_collector_to_names", ()))

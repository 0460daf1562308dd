"""Merge the Prometheus metrics that agent files create, over all processes of a host."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from .._compat.prometheus import collectors
from .privacy import masking
from .privacy.caller_secrets import SECRET_NAMES

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family

_SUMMED = ("counter", "histogram", "summary")


def dump() -> list[Any]:
    """Return the counters, gauges, histograms and summaries in the Prometheus client's global registry as JSON values.

    Secrets and phone numbers in labels are masked. The list is empty if nothing has imported the client.
    """
    return [
        [
            family.name,
            family.type,
            family.documentation,
            [[s.name, _shown(s.labels), s.value] for s in _samples(family)],
        ]
        for family in _families()
    ]


def _samples(family: Family) -> Iterator[Any]:
    return (sample for sample in family.samples if not sample.name.endswith("_created"))


def _shown(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: _masked(name, value) for name, value in labels.items()}


@lru_cache(maxsize=16_384)
def _masked(name: str, value: str) -> str:
    # The cache makes frequent dumps fast. It also keeps a caller's secret masked after `caller_secrets` forgets it.
    return masking.MASK if value and name.lower().endswith(SECRET_NAMES) else masking.clean(value)


def _families() -> Iterator[Family]:
    if "prometheus_client" not in sys.modules:
        return
    from prometheus_client import Counter, Gauge, Histogram, Summary

    # Skip all other collectors, even those of the client, because their code may read files or query servers.
    for collector in collectors():
        if isinstance(collector, (Counter, Gauge, Histogram, Summary)):
            yield from collector.collect()


def merged(dumps: Sequence[tuple[Sequence[Any], int | None]]) -> Iterator[Family]:
    """Yield the metrics of several processes.

    Counters, histograms and summaries are added up. Each gauge of a live process gets the label `pid`. The gauges of
    dead processes are left out.
    """
    from prometheus_client.core import Metric as Family

    families: dict[str, Family] = {}
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for dumped, pid in dumps:
        for name, kind, documentation, samples in dumped:
            families.setdefault(name, Family(name, documentation, kind))
            if families[name].type == kind and (pid is not None or kind in _SUMMED):
                _add(values.setdefault(name, {}), samples, {} if kind in _SUMMED else {"pid": str(pid)})
    for name, family in families.items():
        for (sample, labels), value in values.get(name, {}).items():
            family.add_sample(sample, dict(labels), value)
        yield family


def _add(
    sums: dict[tuple[str, tuple[tuple[str, str], ...]], float], samples: Iterable[Any], more: Mapping[str, str]
) -> None:
    for name, labels, value in samples:
        key = (name, tuple(sorted({**labels, **more}.items())))
        sums[key] = sums.get(key, 0.0) + value

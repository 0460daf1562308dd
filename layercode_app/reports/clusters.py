"""Group calls by what the callers asked for, and show how each group went and what it cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..blank import is_blank
from ..journal.record import Json, Kind, TurnRecord
from ..journal.stores.base import Store
from .review_queue import CallSeen, calls_seen
from .similar_texts import SIMILAR, Corpus, Vector, centre, cosine, groups_of

NAME_WORDS = 3
"""The number of words in the name of a group."""


@dataclass
class Asked(CallSeen):
    """A call, with the caller's words in `said`."""

    said: list[str] = field(default_factory=list)

    def add(self, record: TurnRecord) -> None:
        """Count a turn of the call, and add the caller's words to `said`."""
        super().add(record)
        if record.kind is Kind.MESSAGE and not is_blank(record.user_text):
            self.said.append(record.user_text)

    @property
    def text(self) -> str:
        """All words of the caller."""
        return "\n".join(self.said)

    @property
    def well(self) -> bool:
        """True if `sessions review` would find no fault with the call."""
        return not any(self.faults())


@dataclass
class Cluster:
    """A group of calls whose callers asked for the same thing."""

    name: str
    calls: list[Asked]
    example: str
    """The caller's first words in the most typical call."""
    scenarios: list[str] = field(default_factory=list)
    """The names of the scenarios whose callers ask for the same thing."""

    @property
    def well(self) -> float:
        """The share of calls without a fault."""
        return sum(asked.well for asked in self.calls) / len(self.calls)

    @property
    def cost(self) -> float:
        """The mean cost of a call, in dollars. Unknown costs count as 0."""
        return sum(asked.cost for asked in self.calls) / len(self.calls)

    def to_json(self) -> Json:
        """Return the group as JSON, with the ids of its calls."""
        return {
            "name": self.name,
            "calls": [asked.conversation_id for asked in self.calls],
            "went_well": round(self.well, 4),
            "cost_per_call": self.cost,
            "example": self.example,
            "scenarios": self.scenarios,
        }


async def calls_of(store: Store, *, since: float) -> list[Asked]:
    """Return the calls in which the caller said something, in the order in which they began."""
    return [asked for asked in await calls_seen(store, Asked, since=since) if asked.said]


def clusters_of(
    calls: Sequence[Asked], scenarios: Mapping[str, str], topics: Sequence[str] | None = None
) -> list[Cluster]:
    """Group calls by their words, or by `topics` if given (one for each call). The largest group comes first.

    `scenarios` maps the name of each scenario to the words of its caller. Without `topics`, a call whose caller says
    only common words is in no group.
    """
    corpus = Corpus(asked.text for asked in calls)
    vectors = [corpus.vector(asked.text) for asked in calls]
    known = {name: corpus.vector(text) for name, text in scenarios.items()}
    groups = groups_of(vectors) if topics is None else _by_topic(topics)
    return [
        _cluster([calls[index] for index in group], [vectors[index] for index in group], known, _topic(topics, group))
        for group in groups
    ]


def _topic(topics: Sequence[str] | None, group: Sequence[int]) -> str:
    return "" if topics is None else topics[group[0]]


def _by_topic(topics: Sequence[str]) -> list[list[int]]:
    groups: dict[str, list[int]] = {}
    for index, topic in enumerate(topics):
        groups.setdefault(topic, []).append(index)
    return sorted(groups.values(), key=lambda group: (-len(group), group[0]))


def _cluster(calls: list[Asked], vectors: list[Vector], scenarios: Mapping[str, Vector], name: str) -> Cluster:
    middle = centre(vectors)
    typical = max(range(len(calls)), key=lambda index: cosine(vectors[index], middle))
    similar = {scenario: cosine(vector, middle) for scenario, vector in scenarios.items()}
    return Cluster(
        name or _name(middle),
        calls,
        example=calls[typical].said[0],
        scenarios=sorted((one for one in similar if similar[one] >= SIMILAR), key=lambda one: (-similar[one], one)),
    )


def _name(middle: Vector) -> str:
    weights = sorted(middle.items(), key=lambda item: (-round(item[1], 9), item[0]))
    return " ".join(word for word, _ in weights[:NAME_WORDS])


def uncovered(clusters: Iterable[Cluster]) -> list[Cluster]:
    """Return the groups that no scenario covers."""
    return [cluster for cluster in clusters if not cluster.scenarios]

"""Find the calls that are worth a look, each with the reasons why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from ..blank import is_blank
from ..journal.cost import cost_of, dollars
from ..journal.record import Json, Kind, Status, TurnRecord
from ..journal.review import REVIEW, judged
from ..journal.stores.base import Store
from .conversations import moment
from .figures import counted, duration, interrupted, is_counted

OFTEN = 3
"""A call with this many interruptions or more is worth a look."""
TOP = 3
"""How many of the most expensive calls, and of the slowest calls, are worth a look."""


@dataclass
class CallSeen:
    """The figures of one call. `reasons` say why the call is worth a look, the most serious first."""

    conversation_id: str
    agent: str
    started_at: float
    turns: int = 0
    failed: int = 0
    apologies: int = 0
    silent: int = 0
    cut: int = 0
    judged_no: list[str] = field(default_factory=list)
    thumbs_down: int = 0
    cost: float = 0.0
    slowest: float = 0.0
    """Milliseconds to the first speech of the slowest turn."""
    review: Json = None
    """The verdict of a person, if there is one."""
    first_words: str = ""
    """The first thing that the caller said."""
    reasons: list[str] = field(default_factory=list)

    def add(self, record: TurnRecord) -> None:
        """Count a turn. For an event with data from the page, count only its cost and scores, as reports do."""
        self.cost += cost_of(record).known or 0.0
        self._add_scores(record)
        if record.kind is Kind.DATA:
            return
        self.turns += 1
        self.first_words = self.first_words or record.user_text.strip()
        self.failed += record.status is Status.FAILED
        self.apologies += any(part.source == "apology" for part in record.speech)
        self.silent += record.status is Status.COMPLETE and _says_nothing(record)
        self.cut += interrupted(record)
        self.slowest = max(self.slowest, 0.0 if interrupted(record) else record.timings.get("ttfs", 0.0))

    def _add_scores(self, record: TurnRecord) -> None:
        self.judged_no += [name for name, value in judged(record).items() if value is False]
        self.thumbs_down += _value(record.scores.get("feedback")) is False
        self.review = record.scores.get(REVIEW, self.review)

    def faults(self) -> Iterator[str]:
        """Yield this call's faults, the most serious first.

        High cost and slow answers are not included: `review_queue` finds them by comparing calls.
        """
        yield from (f"judged no: {name}" for name in self.judged_no)
        if self.failed:
            yield f"{counted(self.failed, 'turn')} failed"
        if self.thumbs_down:
            yield "the caller was not content"
        if self.apologies > self.failed:
            yield f"the agent apologised {self.apologies} times" if self.apologies > 1 else "the agent apologised once"
        if self.silent:
            yield counted(self.silent, "silent turn")
        if self.cut >= OFTEN:
            yield f"interrupted {self.cut} times"

    def to_json(self) -> Json:
        """Return the call as JSON."""
        return asdict(self) | {"started_at": moment(self.started_at)}


def _says_nothing(record: TurnRecord) -> bool:
    return record.kind is Kind.MESSAGE and is_blank(record.spoken_text) and not is_blank(record.user_text)


def _value(score: Any) -> Any:
    return score.get("value") if isinstance(score, dict) else None


CallT = TypeVar("CallT", bound=CallSeen)


async def calls_seen(store: Store, kind: type[CallT], *, since: float = 0.0) -> list[CallT]:
    """Read the turns since `since`, and return their calls in the order in which they began.

    Each call is an object of class `kind` to which its turns were added. Turns that reports do not count are skipped,
    and calls without a turn are left out.
    """
    calls: dict[str, CallT] = {}
    async for record in store.turns(since=since, bodies=False):
        if is_counted(record):
            fresh = kind(record.conversation_id, record.agent, record.started_at)
            calls.setdefault(record.conversation_id, fresh).add(record)
    return [call for call in calls.values() if call.turns]


async def review_queue(store: Store, *, since: float = 0.0, limit: int = 20, reviewed: bool = False) -> list[CallSeen]:
    """Return up to `limit` calls worth a look, the most serious first.

    Calls that a person has already reviewed are included only if `reviewed`.
    """
    found = await calls_seen(store, CallSeen, since=since)
    for call in found:
        call.reasons = list(call.faults())
    faulty = [call for call in found if call.reasons]
    for call in sorted(found, key=lambda call: -call.cost)[:TOP]:
        if call.cost:
            call.reasons.append(f"among the most expensive: {dollars(call.cost)}")
    for call in sorted(found, key=lambda call: -call.slowest)[:TOP]:
        if call.slowest:
            call.reasons.append(f"among the slowest: first speech after {duration(call.slowest)}")
    worth = sorted(faulty, key=_gravity) + [call for call in found if call.reasons and call not in faulty]
    return [call for call in worth if reviewed or call.review is None][:limit]


def _gravity(call: CallSeen) -> tuple[int, ...]:
    counts = (len(call.judged_no), call.failed, call.thumbs_down, call.apologies, call.silent, call.cut)
    return tuple(-count for count in counts)

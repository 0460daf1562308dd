"""Make a report: read the journal once and count its turns in groups."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Literal, get_args

from ..exceptions import ConfigurationError
from ..journal.model_usage import Share
from ..journal.record import Json, Kind, TurnRecord
from ..journal.stores.base import Store
from .agreement import Agreement
from .figures import day_of, is_counted
from .first_answers import FirstAnswers
from .opportunities import Opportunity, Sightings
from .stage_tally import Stages, StageTally
from .tally import Tally
from .tool_tally import Tools, ToolTally

By = Literal["agent", "model", "day", "month", "conversation", "tool", "stage", "version", "score"]
GROUPINGS: tuple[By, ...] = get_args(By)
NO_MODEL = "(no model)"
LONGEST_GAP = 366
"""The maximum number of consecutive days without a call that the report shows."""
_KEYS: dict[str, Callable[[TurnRecord], str]] = {
    "agent": lambda record: record.agent,
    "day": day_of,
    "month": lambda record: day_of(record)[:7],
    "conversation": lambda record: record.conversation_id,
    "version": lambda record: f"{record.agent} {record.fingerprint or '?'} {record.model or NO_MODEL}",
}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@dataclass
class Report:
    """The counts of a period of the journal. Times are epoch seconds; `since` is 0 for the whole journal."""

    since: float
    until: float
    by: By
    total: Tally = field(default_factory=lambda: Tally("total"))
    groups: dict[str, Tally] = field(default_factory=dict)
    days: dict[str, Tally] = field(default_factory=dict)
    models: dict[str, Tally] = field(default_factory=dict)
    tools: list[ToolTally] = field(default_factory=list)
    stages: list[StageTally] = field(default_factory=list)
    opportunities: list[Opportunity] = field(default_factory=list)
    agreement: Agreement = field(default_factory=Agreement)
    forgotten: dict[str, dict[str, float]] = field(default_factory=dict)
    """The usage of deleted turns, by day. Only totals of these turns remain."""

    def as_json(self) -> Json:
        """Return the report as JSON."""
        return {
            "since": _moment(self.since),
            "until": _moment(self.until),
            "by": self.by,
            "total": self.total.as_json(),
            "groups": [tally.as_json() for tally in self.groups.values()],
            "tools": [tool.as_json() for tool in self.tools],
            "stages": [stage.as_json() for stage in self.stages],
            "models": [tally.as_json() for tally in self.models.values()],
            "days": [tally.as_json() for tally in self.days.values()],
            "opportunities": [found.as_json() for found in self.opportunities],
            "agreement": self.agreement.as_json(),
            "no_longer_in_the_journal": self.forgotten,
        }


def seconds_of(text: str, setting: str = "--since") -> float:
    """Parse a duration such as 90s, 10m, 24h, 7d or 2w into seconds. Raises ConfigurationError that names `setting`."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([smhdw])", text.strip())
    if match is None:
        raise ConfigurationError(f"{setting} {text!r}: expected a duration such as 30m, 24h or 7d.")
    return float(match[1]) * _UNITS[match[2]]


def beginning(since: str | None) -> float:
    """Parse `--since` into epoch seconds. Return 0 if `since` is empty or `all`.

    `since` is a UTC day such as 2026-01-31, or a duration that ends now. A duration that begins before 1970 means the
    whole journal. Raises ConfigurationError for anything else.
    """
    if not since or since == "all":
        return 0.0
    try:
        if "-" in since:
            return max(datetime.strptime(since.strip(), "%Y-%m-%d").replace(tzinfo=UTC).timestamp(), 0.0)
        return max(time.time() - seconds_of(since), 0.0)
    except (ValueError, ConfigurationError):
        raise ConfigurationError(
            f"--since {since!r}: expected a duration such as 24h or 7d, or a day such as 2026-01-31."
        ) from None


async def make_report(store: Store, *, since: float = 0.0, by: By = "agent") -> Report:
    """Read the journal from `since` (epoch seconds) on and count its turns. Raises StoreError."""
    report = Report(since, time.time(), by)
    scores = await _scores_of_calls(store, since) if by == "score" else {}
    held: dict[str, dict[str, float]] = {}
    # Only the tools' costs need the messages, which are most of the journal's bytes.
    records = _adding(held, store.turns(since=since, bodies=by == "tool"))
    await _count(report, records, scores, FirstAnswers(store, since))
    report.forgotten = await _forgotten(store, report, held)
    return report


async def _adding(held: dict[str, dict[str, float]], records: AsyncIterable[TurnRecord]) -> AsyncIterator[TurnRecord]:
    """Yield the records. Also add the usage of each finished turn to `held`, by day, as in the server's totals."""
    from .usage_totals import add_to_day, totals_of

    async for record in records:
        if record.finished and record.kind is not Kind.SESSION:
            add_to_day(held, totals_of(record))
        yield record


async def _scores_of_calls(store: Store, since: float) -> dict[str, set[str]]:
    """Return the scores of each call, such as `task_completed no`.

    In a report by score, each score is a group that contains all turns of the calls with this score.
    """
    found: dict[str, set[str]] = {}
    async for record in store.turns(since=since, bodies=False):
        for name, score in record.scores.items() if is_counted(record) else ():
            found.setdefault(record.conversation_id, set()).add(f"{name} {_shown(score)}")
    return found


def _shown(score: Json) -> str:
    value = score.get("value") if isinstance(score, dict) else score
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


async def _count(
    report: Report, records: AsyncIterable[TurnRecord], scores: Mapping[str, Iterable[str]], answers: FirstAnswers
) -> None:
    tools, stages, sightings = Tools(), Stages(), Sightings()
    async for record in records:
        # A clock that was wrong for a while may have dated a turn in the future.
        if not is_counted(record) or record.started_at > report.until:
            continue
        first = await answers.is_first(record)
        for tally in _tallies(report, record, scores):
            tally.add(record, first=first)
        for groups in _by_model(report):
            _count_models(groups, record, first=first)
        if record.kind is Kind.DATA:
            continue
        report.agreement.add(record)
        tools.add(record)
        stages.add(record)
        sightings.add(record)
    report.groups = dict(sorted(report.groups.items()))
    report.days = _every_day(report.days)
    report.tools = sorted(tools.by_name.values(), key=lambda tool: (-tool.times, tool.key))
    report.stages = stages.tallies()
    report.opportunities = sightings.opportunities(tools.by_name)


def _every_day(days: dict[str, Tally]) -> dict[str, Tally]:
    """Return the days in order, including days without a call, so that plots show them as empty.

    A gap of more than LONGEST_GAP days is not filled: a wrong clock may have dated a turn in another decade.
    """
    found: dict[str, Tally] = {}
    before: date | None = None
    for name in sorted(days):
        day = date.fromisoformat(name)
        empty = (day - before).days - 1 if before else 0
        for number in range(empty if empty <= LONGEST_GAP else 0, 0, -1):
            missing = (day - timedelta(days=number)).isoformat()
            found[missing] = Tally(missing)
        found[name] = days[name]
        before = day
    return found


def _tallies(report: Report, record: TurnRecord, scores: Mapping[str, Iterable[str]]) -> list[Tally]:
    def of(groups: dict[str, Tally], key: str) -> Tally:
        return groups.setdefault(key, Tally(key))

    found = [report.total, of(report.days, day_of(record))]
    if report.by in _KEYS:
        found.append(of(report.groups, _KEYS[report.by](record)))
    found += [of(report.groups, key) for key in scores.get(record.conversation_id, ())]
    return found


def _by_model(report: Report) -> list[dict[str, Tally]]:
    return [report.models, report.groups] if report.by == "model" else [report.models]


def _count_models(groups: dict[str, Tally], record: TurnRecord, *, first: bool) -> None:
    """Count a turn for the model that answered, and tokens and cost for each model that used them."""
    shares = {share.model or NO_MODEL: share for share in record.shares}
    main = record.model or NO_MODEL
    groups.setdefault(main, Tally(main)).add(record, first=first, share=shares.pop(main, Share(main)))
    for name, share in shares.items():
        groups.setdefault(name, Tally(name)).add_helper(share)


async def _forgotten(store: Store, report: Report, held: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return, for each day, the usage of deleted turns: the stored totals minus `held`, the usage in the journal.

    The totals include calls of `check`, so `held` includes them too.
    """
    from .usage_totals import totals_by_day

    gone: dict[str, dict[str, float]] = {}
    for day, kept in (await totals_by_day(store)).items():
        own = held.get(day, {})
        whole_day = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp() >= report.since
        if whole_day and kept.get("turns", 0) > own.get("turns", 0):
            rest = {name: round(amount - own.get(name, 0.0), 9) for name, amount in kept.items()}
            gone[day] = {name: amount for name, amount in rest.items() if amount > 0}
    return gone


def _moment(seconds: float) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else None

"""Find opportunities to save money or time, and state the measured figure of each one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field

from ..journal.cost import Cost, cost_of, dollars
from ..journal.model_usage import Share
from ..journal.record import Json, TurnRecord
from ..percentiles import percentile
from .figures import interrupted
from .parts import PartTally

LEAST_TURNS = 5
"""The minimum number of turns for a finding about models or prompts. Fewer turns are not significant."""
LONG_PROMPT = 1024
"""The minimum length in tokens of a prompt whose beginning providers cache."""
LONG_HISTORY = 4000
SLOW_TOOL_MS = 1500.0
OFTEN_CHANGED = 0.2
"""Advice is given if the beginning of the request changed in at least this share of turns.

If the history is cut, the beginning of the request changes too, but this happens in fewer turns.
"""
_CHANGE_ADVICE = {
    "instructions": "Return parts that change (time, names) as InstructionPart(text, name=..., on_change='append'). "
    "They are then sent after the history, and the provider can cache everything before them.",
    "tools": "Offer the same tools in every turn, in the same order. A request begins with the tools, so the provider "
    "can cache none of it if the tools change.",
    "history": "Raise LAYERCODE_HISTORY_TOKENS, or shorten tool results: the history is cut in too many turns.",
}
EXPENSIVE_RATIO = 3.0
"""If a model costs more per turn than this many times the cheapest model, the cheapest model is suggested."""


@dataclass(frozen=True)
class Opportunity:
    """A possible improvement: what was measured, and what to try."""

    kind: str
    where: str
    measured: str
    advice: str

    def as_json(self) -> Json:
        """Return the opportunity as JSON."""
        return asdict(self)


@dataclass
class _Spending:
    turns: int = 0
    requests: int = 0
    input: int = 0
    cached: int = 0
    largest: int = 0
    answered: int = 0
    """The number of turns that the model answered. In all other turns, only helpers such as guards called the model."""
    cost: Cost = field(default_factory=Cost)
    """The cost of the turns that the model answered."""


@dataclass
class _Prompts:
    """Counts how often the parts of the prompt changed.

    `turns` is the number of turns that had a history. `changes` gives, for each part and each conversation, the number
    of turns in which the part changed.
    """

    turns: int = 0
    changes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def add(self, record: TurnRecord) -> None:
        self.turns += bool(record.history_start)
        for name in record.prompt_changes:
            self.changes[name][record.conversation_id] += 1


class Sightings:
    """Collects the figures of turns and finds the opportunities in them."""

    def __init__(self) -> None:
        self._spending: dict[tuple[str, str], _Spending] = defaultdict(_Spending)
        self._prompts: dict[tuple[str, str], _Prompts] = defaultdict(_Prompts)

    def add(self, record: TurnRecord) -> None:
        """Collect the figures of one turn."""
        if record.prompt:
            self._prompts[record.agent, record.model].add(record)
        if not interrupted(record):
            for share in record.shares:
                self._add(record, share)

    def _add(self, record: TurnRecord, share: Share) -> None:
        requests = share.usage.get("requests", 0)
        if not requests:
            return
        spent = self._spending[record.agent, share.model]
        spent.turns += 1
        spent.requests += requests
        spent.input += share.usage.get("input_tokens", 0)
        spent.cached += share.usage.get("cache_read_tokens", 0)
        spent.largest = max(spent.largest, _longest_prompt(record, share))
        if share.model == record.model:
            spent.answered += 1
            spent.cost += cost_of(share)

    def opportunities(self, tools: Mapping[str, PartTally]) -> list[Opportunity]:
        """Return the opportunities, grouped by kind and not ordered by value. `tools` are the tallies of all tools."""
        own = [*self._uncached(), *self._changes(), *self._histories()]
        return [*own, *_slow_tools(tools), *self._expensive_models()]

    def _often(self) -> Iterator[tuple[str, str, _Spending]]:
        for (agent, model), spent in sorted(self._spending.items()):
            if spent.turns >= LEAST_TURNS:
                yield agent, model, spent

    def _uncached(self) -> Iterator[Opportunity]:
        for agent, model, spent in self._often():
            prompt, share = spent.input / spent.requests, spent.cached / spent.input if spent.input else 0.0
            if prompt >= LONG_PROMPT and share < 0.3:
                yield Opportunity(
                    "uncached prompts",
                    f"{agent} on {model}",
                    f"{prompt:,.0f} prompt tokens per request ({spent.requests} requests); {share:.0%} of these tokens were cached",
                    "Keep parts that change (time, names) out of the beginning of the instructions, so that the "
                    "provider can cache them.",
                )

    def _changes(self) -> Iterator[Opportunity]:
        for (agent, model), prompts in sorted(self._prompts.items()):
            for name, calls in sorted(prompts.changes.items()):
                if prompts.turns >= LEAST_TURNS and calls.total() >= OFTEN_CHANGED * prompts.turns:
                    call, times = calls.most_common(1)[0]
                    yield Opportunity(
                        "changing prefixes",
                        f"{agent} on {model}",
                        f"{name} changed in {calls.total():,} of {prompts.turns:,} turns that had a history, "
                        f"most often ({times:,}) in conversation {call}",
                        _CHANGE_ADVICE[name],
                    )

    def _histories(self) -> Iterator[Opportunity]:
        for agent, model, spent in self._often():
            if spent.largest >= LONG_HISTORY:
                yield Opportunity(
                    "long histories",
                    f"{agent} on {model}",
                    f"up to {spent.largest:,} prompt tokens per request, mean {spent.input / spent.requests:,.0f}",
                    "Lower LAYERCODE_HISTORY_TOKENS, or shorten the instructions and tool results.",
                )

    def _expensive_models(self) -> Iterator[Opportunity]:
        answering = [entry for entry in self._often() if entry[2].answered >= LEAST_TURNS]
        priced = [(spent.cost.amount / spent.answered, agent, model, spent) for agent, model, spent in answering]
        known = [entry for entry in priced if not entry[3].cost.unknown and entry[0]]
        for each, agent, model, spent in known:
            others = [entry for entry in known if entry[2] != model]
            cheapest = min(others, key=lambda entry: entry[0], default=None)
            if cheapest is not None and each > EXPENSIVE_RATIO * cheapest[0]:
                yield Opportunity(
                    "expensive models",
                    f"{agent} on {model}",
                    f"{dollars(each)} a turn over {spent.answered} turns; {cheapest[2]} costs {dollars(cheapest[0])} "
                    f"a turn with the agent {cheapest[1]}",
                    f"Try {cheapest[2]} on the same calls: `fork` a conversation with it, or run your evals.",
                )


def _longest_prompt(record: TurnRecord, share: Share) -> int:
    """Return the tokens of the longest prompt that a model got in a turn.

    Return the mean if the single requests are not known, as in a record of an older version.
    """
    prompts = [call.usage.get("input_tokens", 0) for call in record.requests if call.model == share.model]
    return max(prompts, default=share.usage.get("input_tokens", 0) // share.usage["requests"])


def _slow_tools(tools: Mapping[str, PartTally]) -> Iterator[Opportunity]:
    for name, tally in sorted(tools.items()):
        slow = percentile(tally.milliseconds, 95)
        if slow is not None and slow >= SLOW_TOOL_MS:
            yield Opportunity(
                "slow tools",
                name,
                f"p95 of {slow:,.0f} ms over {len(tally.milliseconds)} calls",
                "Let the agent speak before the tool call, give it a filler, or make the tool faster.",
            )

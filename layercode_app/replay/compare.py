"""Compare a fork with its recording, turn by turn: words, timings and cost, with a diff of the words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from ..journal.cost import Cost, cost_of
from ..journal.model_usage import Share
from ..journal.record import Json, TurnRecord
from ..reports.words import answered_ms

_PIECES = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(slots=True)
class Pair:
    """A recorded turn and the fork's turn in its place. `old` is None if the fork has more turns than the recording."""

    old: TurnRecord | None
    new: TurnRecord


@dataclass(slots=True)
class Fork:
    """The result of a fork. `number` is the number of the forked turn. The first turn, usually the greeting, is 1."""

    conversation_id: str
    turn_id: str
    number: int
    agent: str
    pairs: list[Pair] = field(default_factory=list)
    answered: Mapping[str, str] = field(default_factory=dict)
    """The source of the answer to each tool call of the fork that did not run: `recording` or `nothing`.

    The keys are the ids of the calls.
    """

    def to_json(self) -> dict[str, Json]:
        """Return the fork as JSON, for `fork --json` and the dev page."""
        return {
            "conversation_id": self.conversation_id,
            "turn_id": self.turn_id,
            "number": self.number,
            "agent": self.agent,
            "turns": [self._pair(pair) for pair in self.pairs],
            "totals": {
                "old": totals(pair.old for pair in self.pairs if pair.old),
                "new": totals(pair.new for pair in self.pairs),
            },
        }

    def _pair(self, pair: Pair) -> dict[str, Json]:
        old = side(pair.old) if pair.old else None
        return {
            "old": old,
            "new": side(pair.new, self.answered),
            "diff": diff(pair.old.spoken_text if pair.old else "", pair.new.spoken_text),
        }


def side(turn: TurnRecord, answered: Mapping[str, str] | None = None) -> dict[str, Json]:
    """Return a turn as JSON for a comparison. Times are in milliseconds, costs in dollars; unknown values are None.

    `answered` maps the id of each tool call that did not run to the source of its answer; see `Fork.answered`. If
    `answered` is None, every tool call of the turn ran.
    """
    cost = cost_of(turn)
    return {
        "turn_id": turn.turn_id,
        "user_text": turn.user_text,
        "text": turn.spoken_text,
        "heard": turn.heard,
        "status": str(turn.status),
        "model": turn.model,
        "version": turn.fingerprint,
        "ttft_ms": turn.timings.get("ttft"),
        "ttfs_ms": turn.timings.get("ttfs"),
        "answer_ms": answered_ms(turn),
        "total_ms": turn.timings.get("total"),
        "input_tokens": turn.usage.get("input_tokens"),
        "output_tokens": turn.usage.get("output_tokens"),
        "cost": cost.known,
        "cost_is_partial": bool(cost.unknown),
        "models": [_model(share) for share in turn.shares],
        "error": turn.error_category,
        "failure": turn.failure,
        "tools": [
            {
                "name": call.name,
                "args": call.args,
                "result": call.result,
                "status": call.status,
                "answered_by": "tool" if answered is None else answered.get(call.id, "tool"),
            }
            for call in turn.tools
        ],
    }


def _model(share: Share) -> dict[str, Json]:
    cost = cost_of(share)
    tokens = {name: share.usage.get(name, 0) for name in ("input_tokens", "output_tokens")}
    return {"model": share.model, **tokens, "cost": cost.known, "cost_is_partial": bool(cost.unknown)}


def totals(turns: Iterable[TurnRecord]) -> dict[str, Json]:
    """Sum tokens and cost of several turns. The cost is partial if some costs are unknown, and None if all are."""
    known = list(turns)
    cost = sum((cost_of(turn) for turn in known), Cost())
    return {
        "input_tokens": sum(turn.usage.get("input_tokens", 0) for turn in known),
        "output_tokens": sum(turn.usage.get("output_tokens", 0) for turn in known),
        "cost": cost.known,
        "cost_is_partial": bool(cost.unknown),
    }


def diff(old: str, new: str) -> list[dict[str, str]]:
    """Compare two texts word by word. Return pieces of text in order, each of the kind `same`, `removed` or `added`."""
    left, right = _PIECES.findall(old), _PIECES.findall(new)
    runs: list[dict[str, str]] = []
    for kind, a, b, c, d in _changes(left, right):
        before, after = "".join(left[a:b]), "".join(right[c:d])
        if kind == "equal":
            runs.append({"kind": "same", "text": before})
            continue
        runs += [{"kind": "removed", "text": before}] if before else []
        runs += [{"kind": "added", "text": after}] if after else []
    return runs


def _changes(left: list[str], right: list[str]) -> list[tuple[str, int, int, int, int]]:
    """Return the changes between two lists of words. Changes with no words between them are merged."""
    joined: list[tuple[str, int, int, int, int]] = []
    opcodes = SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
    for place, (kind, a, b, c, d) in enumerate(opcodes):
        between = 0 < place < len(opcodes) - 1
        changed = kind != "equal" or (between and not any(word[0].isalnum() for word in left[a:b]))
        if changed and joined and joined[-1][0] == "replace":
            _, first, _, third, _ = joined.pop()
            joined.append(("replace", first, b, third, d))
        else:
            joined.append(("replace" if changed else "equal", a, b, c, d))
    return joined

"""Tool calls that wait for the caller's answer: how they are kept in a turn's record, and what the model is told.

The turn that asks the question keeps the tool calls in its record. The next turn gets the caller's answer. This turn
also keeps the tool calls in its record, until one of them runs or all are dropped. If the turn's worker dies, the worker
that ends the turn adds the tool calls to its record. In all records, the tool calls are in the object `pending`, which
has these keys:

- `question`: the spoken text
- `calls`: the tool calls, each with `id`, `name` and `args`
- `heard`: whether the caller heard the question in an earlier turn; always false in the turn that asks the question
- `stage`: the agent's stage in which the model made the tool calls; missing if the agent has no stages
- `agent`: the agent that asked; missing if it is the agent of the record

A turn can run or drop only the tool calls in the record of the turn directly before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..blank import is_blank
from ..journal.record import Json, Status, TurnRecord
from ..journal.record_json import sorted_json
from ..journal.stores.base import LazyHistory
from ..journal.waiting_calls import keep_calls
from .plain_words import plain_words


@dataclass(frozen=True)
class Pending:
    """The tool calls of the last turn that wait for the caller's answer, and the question that the turn asked.

    `heard` tells whether the caller heard the question.
    """

    question: str
    calls: Sequence[dict[str, Json]]
    heard: bool
    stage: str = ""
    """The agent's stage in which the model made the tool calls; "" for an agent without stages."""
    agent: str = ""
    """The agent that asked."""

    @property
    def names(self) -> str:
        """The names of the tools, for notes and logs."""
        return ", ".join(dict.fromkeys(str(call["name"]) for call in self.calls))

    def kept(self, *, heard: bool) -> Json:
        """Return the object `pending` of a turn's record: the tool calls, their question and their stage.

        `heard` tells whether the caller heard the question in an earlier turn.
        """
        stage = {"stage": self.stage} if self.stage else {}
        return {"question": self.question, "calls": list(self.calls), "heard": heard} | stage


def pending_of(last: TurnRecord | None) -> Pending | None:
    """Return the tool calls of the last turn that wait for the caller's answer; None if there are none."""
    if last is None or not last.pending:
        return None
    kept, question = last.pending, str(last.pending["question"])
    heard = _was_heard(last, question)
    return Pending(question, kept["calls"], heard, kept.get("stage", ""), kept.get("agent", last.agent))


def asked_in(past: Sequence[TurnRecord]) -> TurnRecord | None:
    """Return the newest of these turns if it has tool calls that wait for the caller's answer, else None."""
    if not past or (isinstance(past, LazyHistory) and not past.newest_may_ask()):
        return None
    return past[-1] if past[-1].pending else None


def keep_undecided(record: TurnRecord, past: Sequence[TurnRecord]) -> None:
    """Keep waiting tool calls in the record of a turn that begins, in case it is stopped before its agent decides."""
    asked = asked_in(past)
    pending = pending_of(asked)
    if asked is not None and pending is not None:
        keep_calls(record, asked, heard=pending.heard)


def key_of(name: str, args: Json) -> tuple[str, bytes]:
    """Return a key that is equal for tool calls with the same name and arguments."""
    return name, sorted_json(args)


def _was_heard(last: TurnRecord, question: str) -> bool:
    if last.pending["heard"] and is_blank(last.spoken_text):
        return True
    if last.heard_text is None and last.status is not Status.COMPLETE:
        return False  # It is not known how much of the question was played.
    return f" {plain_words(question)} " in f" {plain_words(last.before + last.heard)} "


def results_of(turn: TurnRecord) -> dict[str, str]:
    """Return a tool result for each tool call that waits for the caller's answer, by the id of the tool call.

    The result tells the model that the tool call has not run yet.
    """
    if not turn.pending:
        return {}
    text = (
        f"[Not run yet: the caller was asked {turn.pending['question']!r}. If they agree, call it again with the same "
        "arguments. If they change something, call it with the new arguments. Otherwise do not call it.]"
    )
    return {str(call["id"]): text for call in turn.pending["calls"]}


def dropped(pending: Pending) -> str:
    """Return the note that tells the model in later turns that the tool calls were not run."""
    return f"[{pending.names} was not run, because the caller did not agree to it. Ask again if it is still wanted.]"

"""The interface of a journal store. Every store passes the same test suite, `tests/journal/stores/`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from ...exceptions import LayerCodeError, StoreError
from ...wellformed import same_json
from ..crashed_turn import given_up
from ..record import Json, Status, TurnRecord
from ..tokens import CHARACTERS_PER_TOKEN, characters_of_turn

T = TypeVar("T")

VERIFIED_TURNS = 1000
"""Maximum number of turns that `verify` reads."""
REMEMBER_SECONDS = 1200
"""How long a store remembers the request ids of `add_totals`, in seconds.

It is longer than the longest pause between two attempts of a job, because a retried job may send its request again.
"""
SPEAKING_KINDS = ("greeting", "message")
"""The kinds of turns that are in the history given to the model."""

Change = Callable[[TurnRecord], None]
"""Changes a record in place, without other side effects.

It is called again, with the new record, if another process has changed the stored record meanwhile.
"""


class StateChangedError(LayerCodeError):
    """The state was not saved, because another turn has changed the same fields; see `Store.save`."""


class LazyHistory(Sequence[TurnRecord]):
    """Earlier turns. All their records are decoded at the first access to any of them."""

    @abstractmethod
    def newest_may_ask(self) -> bool:
        """Return whether the newest turn may have tool calls that wait for the caller's answer.

        The turn is not decoded for this check. True may be wrong; False is certain.
        """

    @abstractmethod
    def newest_may_differ(self, session_id: str) -> bool:
        """Return whether the newest turn may belong to another session. True may be wrong; False is certain."""

    @abstractmethod
    def may_name(self, turn_id: str) -> bool:
        """Return whether the event of a turn may contain this turn id. True may be wrong; False is certain."""


@dataclass(slots=True)
class Begun:
    """The result of beginning a turn.

    `outcome` is "new" when the turn was written. Otherwise it is "running" or "finished", and `record` is the turn
    already stored. `history` holds the newest earlier turns, sorted from old to new, without frames. `displaced` holds
    the turns of the history that are still running.
    """

    outcome: Literal["new", "running", "finished"]
    record: TurnRecord
    history: Sequence[TurnRecord] = ()
    displaced: list[TurnRecord] = field(default_factory=list)
    state: dict[str, Json] = field(default_factory=dict)
    metadata: dict[str, Json] = field(default_factory=dict)


@dataclass(slots=True)
class Conversation:
    """The state and metadata of a conversation, without its turns."""

    conversation_id: str
    state: dict[str, Json] = field(default_factory=dict)
    metadata: dict[str, Json] = field(default_factory=dict)


@dataclass(slots=True)
class Summary:
    """One conversation in a list. Times are epoch seconds; `turns` counts greetings and answers only."""

    conversation_id: str
    agent: str
    turns: int
    started_at: float
    last_at: float


@dataclass(slots=True)
class Signal:
    """A message to another worker about a turn that the other worker runs."""

    kind: Literal["stop", "follow", "unfollow", "heard", "scores"]
    conversation_id: str
    turn_id: str
    status: Status = Status.SUPERSEDED
    heard: dict[str, Json] | None = None
    """What the caller heard of the turn, as in the platform's event. Only signals of the kind "heard" have it."""
    scores: dict[str, Json] | None = None
    """Scores to add to the turn's record. Only signals of the kind "scores" have them."""


@dataclass(slots=True)
class Job:
    """Work to do after a turn or a call: stored until it is done, retried with backoff. `due_at` is epoch seconds."""

    id: str
    name: str
    agent: str
    payload: Json
    conversation_id: str = ""
    attempts: int = 0
    due_at: float = 0.0
    trace: dict[str, str] = field(default_factory=dict)
    error: str | None = None


@dataclass(slots=True)
class Size:
    """The size of a journal. `oldest` is the start of its first turn in epoch seconds; unknown values are None."""

    turns: int
    conversations: int
    oldest: float | None
    bytes: int | None = None


class Store(ABC):
    """Stores turns, conversations and jobs. Every method may raise StoreError; none blocks the event loop for long.

    `owner` is the id of the worker that uses this store object. A worker is alive while its store is open. If
    processes can share the journal, each `open` chooses a new id. So a process may fork before it opens its store: the
    parent and the child are then separate workers, if each of them opens its copy of the store.
    """

    component: str
    owner: str = ""

    @abstractmethod
    async def open(self) -> None:
        """Connect, and create missing files and tables. Raises StoreError that names the store and the reason."""

    @abstractmethod
    async def close(self) -> None:
        """Write pending changes and disconnect."""

    @abstractmethod
    async def ping(self) -> None:
        """Write a value to check that the journal is writable."""

    async def verify(self) -> None:
        """Read the newest turns to check that they are readable. Raises StoreError for an unreadable turn."""
        read = 0
        try:
            async for _ in self.turns(newest_first=True):
                read += 1
                if read >= VERIFIED_TURNS:
                    return
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"The journal ({self.component}) holds a turn that cannot be read: {type(error).__name__}: {error}"
            ) from error

    @abstractmethod
    async def size(self) -> Size:
        """Count the turns and conversations of the journal."""

    # --- turns

    @abstractmethod
    async def begin(self, record: TurnRecord, *, history_tokens: int) -> Begun:
        """Write a new running turn and read its conversation, in one atomic step.

        If the turn is stored already, nothing is written. `history_tokens` is the budget of the returned history.
        """

    @abstractmethod
    async def claim(self, record: TurnRecord) -> bool:
        """Take over a running turn from its dead owner. If several workers claim it, exactly one gets true.

        `record` is the turn as this worker read it. A successful claim replaces the content of `record` with the last
        version that the dead owner wrote, and sets the new owner and attempt.
        """

    @abstractmethod
    async def save(
        self, record: TurnRecord, *, state: dict[str, Json] | None = None, based_on: Mapping[str, Json] | None = None
    ) -> bool:
        """Write the record, and these fields of the conversation's state, in one atomic step; return whether it was done.

        `based_on` are the values that the fields in `state` had before they were changed. If the stored state has
        another value for one of these fields, nothing is written, and StateChangedError is raised. A field that is not
        stored, or that is stored with the new value already, may be written. Without `based_on`, every field may be
        written.

        Nothing is written if another worker owns the turn by now, if the turn was deleted, or if the stored turn has
        ended but `record` is still running. The last case occurs when a save is sent again because its answer was
        lost, and the end of the turn was saved meanwhile.
        """

    @abstractmethod
    async def get(self, conversation_id: str, turn_id: str) -> TurnRecord | None:
        """Return the whole record of a turn, or None."""

    @abstractmethod
    async def update(self, conversation_id: str, turn_id: str, change: Change) -> TurnRecord | None:
        """Change a stored record in one atomic step; return the changed record, or None when there is no such turn."""

    @abstractmethod
    async def history(self, conversation_id: str, *, tokens: int, before: int | None = None) -> list[TurnRecord]:
        """Return the newest turns that fit the budget of estimated tokens, sorted from old to new, without frames.

        At least one turn is returned. `before` is a position: only earlier turns are returned. Some of the turns that
        fit may be left out, because the history is trimmed in steps; see `history_steps.py`.
        """

    @abstractmethod
    def turns(
        self,
        *,
        conversation_id: str | None = None,
        since: float = 0.0,
        newest_first: bool = False,
        bodies: bool = True,
    ) -> AsyncIterator[TurnRecord]:
        """Yield records in journal order, or newest first.

        `since` is the earliest start, in epoch seconds. Without `bodies` the records have no messages and no frames.
        """

    async def unfinished(self, *, since: float) -> AsyncIterator[TurnRecord]:
        """Yield the turns that are recorded as running and began at `since` (epoch seconds) or later, in any order.

        The records have no messages and no frames. Turns that cannot be read are left out.
        """
        async for record in self.turns(since=since, bodies=False):
            if not record.finished:
                yield record

    # --- conversations

    @abstractmethod
    async def conversation(self, conversation_id: str) -> Conversation:
        """Return the state and metadata of a conversation; both are empty when it is unknown."""

    @abstractmethod
    async def establish(self, conversation_id: str, metadata: dict[str, Json]) -> None:
        """Merge these fields into the conversation's metadata."""

    @abstractmethod
    async def save_state(
        self,
        conversation_id: str,
        state: dict[str, Json],
        *,
        turn_id: str | None = None,
        based_on: Mapping[str, Json] | None = None,
    ) -> bool:
        """Merge these fields into the conversation's state; return whether they were saved.

        Raises StateChangedError as `save` does, if `based_on` is given.

        With `turn_id`, they are saved only if that turn is still stored. The check and the write are one atomic step.
        So nothing is saved if the conversation was forgotten after that turn, even if it has new turns by now.
        """

    @abstractmethod
    async def conversations(self, *, limit: int = 50) -> list[Summary]:
        """Return up to `limit` conversations, those with the newest turns first."""

    @abstractmethod
    async def established(self) -> list[str]:
        """Return the ids of all conversations that have state or metadata."""

    @abstractmethod
    async def forget(self, conversation_id: str) -> int:
        """Delete a conversation with its turns, state and jobs; return the number of turns."""

    @abstractmethod
    async def prune(self, before: float) -> int:
        """Delete conversations without a turn since `before` (epoch seconds); return the number of deleted turns.

        A conversation that never had a turn is deleted if its state and metadata were not written since `before`.
        """

    # --- totals

    @abstractmethod
    async def add_totals(self, key: str, amounts: Mapping[str, float], *, request_id: str = "") -> dict[str, float]:
        """Add amounts to the totals of a key in one atomic step; return the totals.

        If a server does not answer, StoreError is raised, but the server may still add the amounts. To retry a call,
        give each attempt the same `request_id`, such as a UUID. Then the amounts are added only once, if no two
        attempts in a row are more than REMEMBER_SECONDS apart.

        Totals outlive the turns, so they must contain no content and no ids. A `request_id` must not contain the id of a
        conversation, a turn or a caller.
        """

    @abstractmethod
    async def totals(self, prefix: str) -> dict[str, dict[str, float]]:
        """Return the totals of every key that begins with `prefix`, sorted by key."""

    @abstractmethod
    async def drop_totals(self, prefix: str, *, before: str) -> None:
        """Delete the totals of each key that begins with `prefix` and sorts before the key `before`."""

    # --- other workers

    @abstractmethod
    async def alive(self, owner: str) -> bool:
        """Return whether the worker with this id is still running."""

    async def held_elsewhere(self, record: TurnRecord) -> bool:
        """Return whether the turn is owned by another worker that is alive and has not given the turn up."""
        return record.owner != self.owner and not given_up(record) and await self.alive(record.owner)

    @abstractmethod
    async def signal(self, owner: str, signal: Signal) -> None:
        """Send a signal to a worker."""

    @abstractmethod
    def on_signal(self, receive: Callable[[Signal], None]) -> None:
        """Call `receive` for each signal that other workers send to this one."""

    # --- jobs

    @abstractmethod
    async def enqueue(self, job: Job) -> bool:
        """Enqueue a job; return false if a job with its id was enqueued before, even if that job is done."""

    @abstractmethod
    async def lease(self, *, now: float, seconds: float, only: Sequence[str] = ()) -> Job | None:
        """Lease the next due job for some seconds, during which no other worker gets it. Return None if none is due.

        With `only`, consider only jobs whose id begins with one of these prefixes.
        """

    @abstractmethod
    async def pending_jobs(self) -> list[Job]:
        """Return the jobs that are not done, leased ones included."""

    @abstractmethod
    async def is_pending(self, job: Job) -> bool:
        """Return whether a job is stored and not done."""

    @abstractmethod
    async def renew(self, job: Job, *, until: float) -> None:
        """Extend the lease of a job to `until` (epoch seconds), unless the job is done or deleted."""

    @abstractmethod
    async def save_attempt(self, job: Job) -> None:
        """Save the `attempts` and `error` of a leased job, unless the job is done or deleted."""

    @abstractmethod
    async def settle(self, job: Job, *, retry_at: float | None = None) -> None:
        """Mark a job as done. With `retry_at` (epoch seconds), reschedule it instead.

        When it is rescheduled, its `attempts` and `error` are saved.
        """


def check_unchanged(stored: Mapping[str, Json], state: Mapping[str, Json], based_on: Mapping[str, Json] | None) -> None:
    """Raise StateChangedError if `stored`, the stored state, has another value than `based_on` for a field of `state`.

    See `Store.save`.
    """
    if based_on is None:
        return
    for name, value in state.items():
        if name not in stored or same_json(stored[name], value):
            continue
        if name not in based_on or not same_json(stored[name], based_on[name]):
            raise StateChangedError(f"Another turn has changed {name!r}.")


LEAST_TOKENS = 64
"""Minimum tokens that a turn counts for, so that a token budget also bounds the number of turns."""


def tokens_of(record: TurnRecord) -> int:
    """Estimate the tokens that a turn costs in a later prompt."""
    # Round up, so that the turns of a history together never exceed its budget.
    return max(-(-characters_of_turn(record) // CHARACTERS_PER_TOKEN), LEAST_TOKENS)


def counts_json(tokens: int, messages: bytes) -> bool:
    """Return whether `tokens`, the stored size of a turn, may have been counted by an earlier release.

    Earlier releases also counted the JSON syntax of the turn's `messages`. If the result is True, the tokens of the
    turn must be counted again.
    """
    return bool(messages) and tokens >= len(messages) // CHARACTERS_PER_TOKEN


def readable(load: Callable[[T], TurnRecord], rows: Iterable[T]) -> Iterator[TurnRecord]:
    """Yield the record of each row. A row that cannot be decoded is left out; `journal check` reports it."""
    for row in rows:
        with suppress(ValueError, KeyError, TypeError):
            yield load(row)

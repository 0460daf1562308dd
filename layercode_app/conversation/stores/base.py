"""The contract of a journal store. Every store passes the same test-suite, `tests/conversation/stores/`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ...exceptions import StoreError
from ..charged import CHARACTERS_PER_TOKEN, characters_of_turn
from ..record import Json, Status, TurnRecord

VERIFIED_TURNS = 1000
"""How many turns are read to see whether a journal is whole."""
SPEAKING_KINDS = ("greeting", "message")
"""The kinds that are part of the conversation the model is shown."""

Change = Callable[[TurnRecord], None]
"""Changes a record in place; may be called again when another process changed it first, so it is pure otherwise."""


@dataclass(slots=True)
class Begun:
    """What the journal knew when a turn was begun.

    `outcome` is "new" when the turn was written, else the stored turn is "running" or "finished" already and
    `record` is it. `history` is the newest earlier turns, oldest first, without frames; `displaced` the turns of the
    conversation that were still running.
    """

    outcome: Literal["new", "running", "finished"]
    record: TurnRecord
    history: Sequence[TurnRecord] = ()
    displaced: list[TurnRecord] = field(default_factory=list)
    state: dict[str, Json] = field(default_factory=dict)
    metadata: dict[str, Json] = field(default_factory=dict)


@dataclass(slots=True)
class Conversation:
    """What is kept of a conversation beside its turns."""

    conversation_id: str
    state: dict[str, Json] = field(default_factory=dict)
    metadata: dict[str, Json] = field(default_factory=dict)


@dataclass(slots=True)
class Summary:
    """One conversation in a list; times are epoch seconds. `turns` are those that speak: greetings and answers."""

    conversation_id: str
    agent: str
    turns: int
    started_at: float
    last_at: float


@dataclass(slots=True)
class Signal:
    """A word from one worker to another about a turn that the other one runs."""

    kind: Literal["stop", "follow", "unfollow"]
    conversation_id: str
    turn_id: str
    status: Status = Status.SUPERSEDED


@dataclass(slots=True)
class Job:
    """Work owed after a turn or a call: kept until it was done, retried with backoff. `due_at` in epoch seconds."""

    id: str
    name: str
    agent: str
    payload: Json
    conversation_id: str = ""
    attempts: int = 0
    due_at: float = 0.0
    trace: dict[str, str] = field(default_factory=dict)
    error: str | None = None


class Store(ABC):
    """Keeps turns, conversations and owed jobs. Every method may raise StoreError; none blocks the event loop long.

    `owner` names the worker that this store object serves; a worker is alive while its store is open.
    """

    component: str
    owner: str

    @abstractmethod
    async def open(self) -> None:
        """Connect and prepare. Raises StoreError naming the place and the reason."""

    @abstractmethod
    async def close(self) -> None:
        """Write what waits and let go."""

    @abstractmethod
    async def ping(self) -> None:
        """Write something, to prove that the journal can be written."""

    async def verify(self) -> None:
        """Read the newest turns, to prove that the journal can be read. Raises StoreError."""
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

    # --- turns

    @abstractmethod
    async def begin(self, record: TurnRecord, *, history_tokens: int) -> Begun:
        """Write a new running turn unless the same turn is known, in one step, and tell what the journal knew."""

    @abstractmethod
    async def claim(self, record: TurnRecord) -> bool:
        """Take a running turn over from its dead owner: true for exactly one caller.

        `record` is what the caller read. It becomes what the dead owner wrote last, with owner and attempt set.
        """

    @abstractmethod
    async def save(self, record: TurnRecord, *, state: dict[str, Json] | None = None) -> None:
        """Write the record as it is now, and these fields of the conversation's state, in one step.

        Nothing is written when another worker owns the turn by now, or when it was forgotten.
        """

    @abstractmethod
    async def get(self, conversation_id: str, turn_id: str) -> TurnRecord | None:
        """The whole record of a turn, or None."""

    @abstractmethod
    async def update(self, conversation_id: str, turn_id: str, change: Change) -> TurnRecord | None:
        """Change a stored record in one step; returns it changed, or None when there is no such turn."""

    @abstractmethod
    async def history(self, conversation_id: str, *, tokens: int, before: int | None = None) -> list[TurnRecord]:
        """The newest turns up to an estimate of tokens (always at least one), oldest first, without frames."""

    @abstractmethod
    def turns(
        self,
        *,
        conversation_id: str | None = None,
        since: float = 0.0,
        newest_first: bool = False,
        bodies: bool = True,
    ) -> AsyncIterator[TurnRecord]:
        """Records in journal order; `since` is epoch seconds of their start. Without `bodies` no messages, no frames."""

    # --- conversations

    @abstractmethod
    async def conversation(self, conversation_id: str) -> Conversation:
        """The state and metadata of a conversation; empty ones when it is not known."""

    @abstractmethod
    async def establish(self, conversation_id: str, metadata: dict[str, Json]) -> None:
        """Merge metadata into the conversation's."""

    @abstractmethod
    async def save_state(self, conversation_id: str, state: dict[str, Json]) -> None:
        """Write these fields of the conversation's state."""

    @abstractmethod
    async def conversations(self, *, limit: int = 50) -> list[Summary]:
        """The conversations heard from last, newest first."""

    @abstractmethod
    async def forget(self, conversation_id: str) -> int:
        """Delete everything of a conversation; returns how many turns there were."""

    @abstractmethod
    async def prune(self, before: float) -> int:
        """Delete conversations with no turn since `before` (epoch seconds); returns how many turns went.

        What was kept of a conversation that never had a turn goes by when it was written.
        """

    # --- totals

    @abstractmethod
    async def add_totals(self, key: str, amounts: Mapping[str, float]) -> dict[str, float]:
        """Add to the totals under a key, in one step; returns them. No content, no ids: they outlive the turns."""

    @abstractmethod
    async def totals(self, prefix: str) -> dict[str, dict[str, float]]:
        """The totals under every key that begins so, in order of their keys."""

    @abstractmethod
    async def drop_totals(self, prefix: str, *, before: str) -> None:
        """Delete the totals under keys that begin with `prefix` and sort before `before`."""

    # --- other workers

    @abstractmethod
    async def alive(self, owner: str) -> bool:
        """Whether the worker of that name still runs."""

    async def held_elsewhere(self, record: TurnRecord) -> bool:
        """Whether the turn is another worker's, which still runs."""
        return record.owner != self.owner and await self.alive(record.owner)

    @abstractmethod
    async def signal(self, owner: str, signal: Signal) -> None:
        """Send a signal to a worker."""

    @abstractmethod
    def on_signal(self, receive: Callable[[Signal], None]) -> None:
        """Call `receive` for each signal that other workers send to this one."""

    # --- owed jobs

    @abstractmethod
    async def owe(self, job: Job) -> bool:
        """Keep a job until it is done; false when a job of that id was owed before, done or not."""

    @abstractmethod
    async def lease(self, *, now: float, seconds: float, only: Sequence[str] = ()) -> Job | None:
        """The next job that is due, kept from other workers for some seconds.

        With `only`, the next of those whose id begins with one of these.
        """

    @abstractmethod
    async def renew(self, job: Job, *, until: float) -> None:
        """Keep a leased job from other workers until then (epoch seconds), unless it is done or forgotten."""

    @abstractmethod
    async def settle(self, job: Job, *, retry_at: float | None = None) -> None:
        """A job is done, or due again at `retry_at` with its `attempts` and `error`."""


LEAST_TOKENS = 64
"""What even the shortest turn counts for, so that a budget also bounds the number of turns."""


def tokens_of(record: TurnRecord) -> int:
    """An estimate of the tokens that a model is charged for a turn in a later prompt."""
    return max(characters_of_turn(record) // CHARACTERS_PER_TOKEN, LEAST_TOKENS)


def counts_json(tokens: int, messages: bytes) -> bool:
    """Whether a stored count is of the messages' JSON, as earlier releases counted: it is then to be taken again."""
    return bool(messages) and tokens >= len(messages) // CHARACTERS_PER_TOKEN

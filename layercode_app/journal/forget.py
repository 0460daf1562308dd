"""Delete a conversation from the journal, with its recordings and exports.

The SQLite store also empties its write-ahead log, which may still contain deleted text.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..exceptions import ConfigurationError
from ..wellformed import well_formed
from .read import is_running, sessions_in
from .record import Json
from .stores.base import Job, Store

RECORDINGS = Path(".layercode/recordings")
EXPORTS = Path(".layercode/exports")
NOTES, NOTES_OF_CALL = "layercode.notes", "layercode.notes_of_call"
"""The names of two tasks: one saves notes on a caller, the other makes notes from the transcript of a call."""
FORGOTTEN = "forgotten/"
"""Prefix of the totals that say when notes were forgotten. They are deleted after a day."""
LONGEST_KEY = 200
"""Maximum length of a caller's id that is stored as it is; a longer id is stored as its hash."""


@dataclass
class Forgotten:
    """The data that `forget` has deleted."""

    conversation_id: str
    turns: int = 0
    files: list[str] = field(default_factory=list)

    @property
    def anything(self) -> bool:
        """Whether anything was deleted."""
        return bool(self.turns or self.files)

    def as_json(self) -> Json:
        """Return what was deleted, as JSON."""
        return {"conversation_id": self.conversation_id, "turns": self.turns, "files": self.files}


def export_path(conversation_id: str, ending: str, folder: Path = EXPORTS) -> Path:
    """Return the path at which to save an export of a conversation, so that `forget` finds the file.

    `ending` is `json` or `html`. Characters of the id that are unsafe in a file name are replaced, and a hash keeps the
    name unique.
    """
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in conversation_id)[:80]
    if plain != conversation_id:
        plain += "-" + hashlib.sha256(conversation_id.encode()).hexdigest()[:8]
    return folder / f"{plain}.{ending}"


def caller_id(key: str) -> str:
    """Return the conversation id under which the notes about a caller are stored.

    The notes are the state of this conversation, which has no turns.
    """
    key = well_formed(key)
    plain = key if len(key) <= LONGEST_KEY else hashlib.sha256(key.encode()).hexdigest()
    return f"caller:{plain}"


async def notes_of(store: Store, key: str) -> list[str]:
    """Return all notes about a caller, oldest first. Raises StoreError."""
    state = (await store.conversation(caller_id(key))).state
    return [text for _, text in sorted((note["at"], note["text"]) for note in state.values() if note["text"])]


async def forget_notes(store: Store, key: str) -> None:
    """Delete the notes about a caller, and the pending jobs that would add more. Raises StoreError."""
    # Store the mark before looking for jobs. A job that is enqueued too late to be found below will then see the mark.
    now = time.time()
    await store.add_totals(f"{FORGOTTEN}{time.strftime('%Y-%m-%d', time.gmtime(now))}", {_mark(key, now): 1})
    for job in await store.pending_jobs():
        if job.payload.get("task") in (NOTES, NOTES_OF_CALL) and job.payload["arguments"]["key"] in (
            key,
            well_formed(key),
        ):
            # This deletes the job's body. A running job sees that it was marked as done, and deletes its notes.
            await store.settle(job)
    await store.forget(caller_id(key))


async def notes_forgotten_since(store: Store, job: Job, since: float) -> bool:
    """Return whether a job adds notes about a caller, and the caller's notes were forgotten after the time `since`.

    True can be wrong. `forget_notes` leaves a mark of the caller that is too short to identify the caller, so one in
    65,536 other callers has the same mark. Raises StoreError.
    """
    if job.payload.get("task") not in (NOTES, NOTES_OF_CALL):
        return False
    caller, _, _ = _mark(job.payload["arguments"]["key"], 0.0).partition(" ")
    marks = [mark.partition(" ") for marks in (await store.totals(FORGOTTEN)).values() for mark in marks]
    return any(marked == caller and float(at) >= since for marked, _, at in marks)


async def enqueue_late(store: Store, enqueue: Callable[[Job], Awaitable[object]], job: Job, *, since: float) -> None:
    """Enqueue a job of a turn that has ended. `since` is the time at which the turn began. Raises StoreError.

    If the job adds notes about a caller, and the notes about this caller were forgotten after `since`, the job is
    marked as done at once, so that it adds nothing.
    """
    await enqueue(job)
    if await notes_forgotten_since(store, job, since):
        await store.settle(job)


def _mark(key: str, at: float) -> str:
    """Return the mark of a caller whose notes were forgotten: four digits of a hash of the id, and the time."""
    return f"{hashlib.sha256(well_formed(key).encode()).hexdigest()[:4]} {at:.3f}"


async def forget(
    store: Store, conversation_id: str, *, recordings: Path = RECORDINGS, exports: Path = EXPORTS
) -> Forgotten:
    """Delete everything that is stored of a conversation. Missing files are not an error.

    Raises ConfigurationError if one of its turns is still running, because the rest of that turn would still be stored.
    Raises StoreError.
    """
    records = [record async for record in store.turns(conversation_id=conversation_id, bodies=False)]
    for record in records:
        if await is_running(store, record):
            raise ConfigurationError(
                f"A turn of {conversation_id} is still running. Forget the call when it has ended."
            )
    done = Forgotten(conversation_id, await store.forget(conversation_id))
    paths = [export_path(conversation_id, ending, exports) for ending in ("json", "html")]
    paths += [recordings / f"{session}.wav" for session in sessions_in(records) if _is_plain(session)]
    for path in paths:
        _delete(path, done)
    return done


def _is_plain(session_id: str) -> bool:
    """Return whether a session id is safe as a file name. Session ids come from requests and may contain a path."""
    return session_id.replace("-", "").replace("_", "").isalnum()


def _delete(path: Path, done: Forgotten) -> None:
    if path.is_file():
        path.unlink()
        done.files.append(str(path))

"""The review queue of the dev page: the calls worth a look, and a person's verdicts, as in `sessions review`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from ...exceptions import PlatformAPIError, StoreError
from ...journal.read import turns_of
from ...journal.record import Json
from ...journal.review import REVIEW, remove_review, save_review
from ...journal.stores.base import Store
from ...reports.report import beginning
from ...reports.review_queue import CallSeen, review_queue
from .source import Source

MOST_CALLS = 100
"""Maximum number of calls in the queue of the page."""
DEFAULT_SINCE = "7d"


class ReviewRequest(BaseModel):
    """A request to save a verdict on a call; `good` is None to remove the verdict."""

    model_config = ConfigDict(extra="forbid")

    conversation_id: str
    good: StrictBool | None
    note: str = Field(default="", max_length=10_000)


async def calls_to_review(store: Store, *, since: str, reviewed: bool) -> Json:
    """Return the calls worth a look, the most serious first. With `reviewed`, include calls that a person has reviewed.

    `since` is as in `sessions review --since`; if it is empty, calls of any age are included. Raises ConfigurationError
    for a wrong `since`, and StoreError if the journal cannot be read.
    """
    start = beginning(since)
    try:
        found = await review_queue(store, since=start, limit=MOST_CALLS, reviewed=reviewed)
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"The journal ({store.component}) contains a turn that cannot be read: {type(error).__name__}: {error}. "
            "Run `layercode-create-app doctor`."
        ) from error
    return {"calls": [_row(call) for call in found], "most": MOST_CALLS}


def _row(call: CallSeen) -> Json:
    return call.to_json() | {"started_at": call.started_at}


async def give_verdict(source: Source, asked: ReviewRequest) -> Json:
    """Save or remove the verdict on a call, and tell the open pages. Return the verdict.

    Raises NotRecordedError for an unknown call, and ConfigurationError if nothing was said in the call. Raises
    PlatformAPIError if one of its turns is still running, because the end of that turn would overwrite the verdict.
    """
    call = asked.conversation_id
    if any(source.running(call, turn.turn_id) for turn in await turns_of(source.store, call)):
        raise PlatformAPIError("A turn of this call is still running. Review the call when it has ended.", status=409)
    if asked.good is None:
        await remove_review(source.store, call)
        review = None
    else:
        turn = await save_review(source.store, call, good=asked.good, note=asked.note.strip())
        review = turn.scores.get(REVIEW)
    source.emulator.feed.publish({"kind": "journal"})
    return {"conversation_id": call, "review": review}

"""A recorded conversation, read from the journal or from a file written by `sessions export`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..conversation.flow import AGENT_STAGE
from ..exceptions import ConfigurationError, NotRecordedError
from ..journal.open import open_journal
from ..journal.read import first_agent, turns_of
from ..journal.record import Json, Status, ToolCall, TurnRecord
from ..journal.record_json import from_json, load_record, to_json
from ..journal.stores.base import SPEAKING_KINDS
from ..observability.privacy.masking import MASK

_EMBEDDED = re.compile(r'<script type="application/json" id="call">(.*?)</script>', re.DOTALL)
_CUT = (Status.INTERRUPTED, Status.SUPERSEDED)
CRASHED = "CrashedTurnError"


@dataclass(frozen=True)
class Recording:
    """The turns of one conversation, oldest first. `masked` is true if personal details were removed."""

    turns: Sequence[TurnRecord]
    masked: bool = False

    @property
    def conversation_id(self) -> str:
        """The id of the conversation."""
        return self.turns[0].conversation_id

    @property
    def agent(self) -> str:
        """The agent that began the call. It may have handed the call over."""
        return first_agent(self.turns)

    @property
    def spoken(self) -> list[TurnRecord]:
        """The spoken turns, without events such as data or session updates."""
        return [turn for turn in self.turns if turn.kind in SPEAKING_KINDS]

    def why_not(self, turn: TurnRecord) -> str | None:
        """Return why a turn cannot be answered again; None if it can."""
        if not turn.finished:
            return "it was still running when it was recorded"
        if turn.impact == "refusal":
            return _why_refused(turn)
        return None if turn.event else "its webhook event was not recorded"


def _why_refused(turn: TurnRecord) -> str:
    from ..agent.output_speech import NOT_RUN

    if turn.error_category == "budget":
        return "a budget was used up, so the agent was not called"
    # Do not search for a stage named "guard": a span of the developer's own code may have this name too.
    if any(call.result == NOT_RUN for call in turn.tools):
        return "it deferred a tool call to another program"
    return "a guard refused it, and timing decided how many words were spoken before the refusal"


async def find_recording(source: str, *, store: str) -> Recording:
    """Return a recording. `source` is the path of an export, or the id of a conversation in the journal at `store`.

    Raises ConfigurationError if the file is not an export, if the journal does not have the conversation, or if no turn
    can be answered again.
    """
    recording = _exported(Path(source)) or await _recorded(source, store)
    if not any(recording.why_not(turn) is None for turn in recording.spoken):
        raise ConfigurationError(
            f"{source} holds no turn that can be answered again; expected a call with a greeting or a message."
        )
    return recording


async def _recorded(conversation_id: str, store: str) -> Recording:
    async with open_journal(store) as journal:
        try:
            return Recording(await turns_of(journal, conversation_id, bodies=True))
        except NotRecordedError as error:
            # Do not raise NotRecordedError: its exit code would mean that `replay` found differences.
            raise ConfigurationError(f"{error} You can also give a file written by `sessions export`.") from error


def _exported(path: Path) -> Recording | None:
    if _is_file(path):
        return read_export(path)
    if path.suffix in (".json", ".html"):
        raise ConfigurationError(
            f"{path}: no such file; expected a file written by `sessions export`, or a conversation's id."
        )
    return None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        # A conversation id may be too long for a file name, or contain characters that are not allowed in one.
        return False


def read_export(path: Path) -> Recording:
    """Return the recording in a file. Raises ConfigurationError if the file cannot be read or is not an export."""
    try:
        text = path.read_text(encoding="utf-8")
        page = _EMBEDDED.search(text)
        rows = from_json(page[1])["turns"] if page else [row["record"] for row in from_json(text)]
        turns = [_turn(row, place) for place, row in enumerate(rows, 1)]
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{path} is not a call in the export format of this version ({type(error).__name__}: {error}). "
            "Export it again with `sessions export ID -o FILE`."
        ) from error
    if not turns:
        raise ConfigurationError(f"{path} holds no turns; expected a call exported by `sessions export`.")
    return Recording(turns, masked=MASK in text)


def _turn(row: dict[str, Any], place: int) -> TurnRecord:
    head = {name: value for name, value in row.items() if name not in ("messages", "frames", "position")}
    turn = load_record(
        to_json(head), position=place, messages=_messages(row["messages"]), frames=to_json(row["frames"])
    )
    responses_of(turn)
    return turn


def _messages(messages: Json) -> bytes:
    return to_json(messages) if messages else b""


# --- contents of a turn


def messages_in(turn: TurnRecord) -> list[Any]:
    """Return the messages that this turn added. Raises ValueError if they are malformed."""
    from pydantic_ai.messages import ModelMessagesTypeAdapter

    return ModelMessagesTypeAdapter.validate_json(turn.messages) if turn.messages else []


def responses_of(turn: TurnRecord) -> list[Any]:
    """Return the model's responses in this turn, in order.

    A response without a run id is left out, because no model made it. A turn contains such a response if the caller
    answers a question for confirmation with yes or no. The response repeats the tool calls that the caller was asked to
    confirm (`agent/confirmation.py`).
    """
    responses = [message for message in messages_in(turn) if message.kind == "response"]
    return [response for response in responses if response.run_id is not None]


def agent_of(call: ToolCall, turn: TurnRecord) -> str:
    """Return the name of the agent that made this tool call.

    This agent is the last agent of the turn, or an earlier agent that made the call and then handed the turn over.
    """
    earlier = {AGENT_STAGE + name: name for name in turn.handed_by}
    for stage in turn.stages:
        if stage.name in earlier and call.started_ms <= (stage.ended_ms or 0.0):
            return earlier[stage.name]
    return turn.agent


def was_stopped(turn: TurnRecord) -> bool:
    """Return whether the turn ended before its reply was complete.

    If the reply was complete but the caller did not hear all of it, the turn does not count as stopped.
    """
    if turn.error == CRASHED:
        return True
    return turn.status in _CUT and not replied_in_full(turn)


def replied_in_full(turn: TurnRecord) -> bool:
    """Return whether the model finished its reply.

    Return False if no model replied in the turn. A reply of a hook may be complete, but the record does not show it.
    """
    messages = messages_in(turn)
    last = messages[-1] if messages else None
    if last is None or last.kind != "response" or last.state == "interrupted":
        return False
    return not any(part.part_kind == "tool-call" for part in last.parts)


def said(turn: TurnRecord) -> str:
    """Return the spoken text without fillers, which depend on timing.

    A space is inserted where two parts from different sources or model responses would touch.
    """
    text, last = "", None
    for part in turn.speech:
        if part.source == "filler":
            continue
        begins = last is not None and last != (part.source, part.response)
        text += " " if begins and not (text[-1:].isspace() or part.text[:1].isspace()) else ""
        text += part.text
        last = part.source, part.response
    return text.lstrip()

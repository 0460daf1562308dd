"""Convert the journal's records to model messages: replies as they were heard, with a result for every tool call."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from ..blank import is_blank
from ..journal.record import Kind, Status, TurnRecord
from .heard import as_heard, heard_speech
from .pending import results_of
from .portable_messages import portable, without_reasoning
from .resumed import joined
from .tool_call_ids import with_unique_ids

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage

JOINED = "[The caller has joined the call.]"
"""The user prompt before a greeting: some providers require that a user message comes first."""
CUT = "[The caller interrupted here, and heard nothing after the words above.]"
UNHEARD = "[The caller interrupted here, before hearing any answer.]"
PARSED_BYTES = 8_000_000
UNANSWERED = "The tool call was interrupted before a result was known."


def history_of(turns: Iterable[TurnRecord]) -> list[ModelMessage]:
    """Return the messages of several turns, oldest first."""
    return with_unique_ids([message for turn in joined(turns) for message in messages_of(turn)])


def messages_of(turn: TurnRecord) -> list[ModelMessage]:
    """Return the messages of one turn: the caller's words, the reply as it was heard, then notes for the model."""
    speech = heard_speech(turn)
    messages = _stored(turn)
    untouched = turn.heard_text is None and all(part.source == "model" for part in speech)
    if not untouched or turn.status is not Status.COMPLETE or not turn.messages:
        messages = as_heard(messages, speech)
    heard = any(not is_blank(part.text) for part in speech)
    paired = _paired(without_reasoning(messages), turn)
    return _without_stale_feedback(paired) + [_note(note) for note in _notes(turn, heard)]


def messages_so_far(turn: TurnRecord) -> list[ModelMessage]:
    """Return the messages of a running turn, with a result for every tool call."""
    return _paired(_stored(turn), turn)


def reasoning_before(turn: TurnRecord, call_id: str) -> list[Any]:
    """Return the reasoning parts of the response that made this tool call; empty if there are none.

    They are in the form that every provider accepts (`portable_messages.py`).
    """
    for message in _parsed.get(turn.messages) if turn.messages else ():
        if any(part.part_kind == "tool-call" and part.tool_call_id == call_id for part in message.parts):
            return [part for part in message.parts if part.part_kind == "thinking"]
    return []


def _stored(turn: TurnRecord) -> list[ModelMessage]:
    from pydantic_ai.messages import ModelRequest, UserPromptPart

    messages = _parsed.get(turn.messages) if turn.messages else []
    text = JOINED if turn.kind is Kind.GREETING else turn.user_text
    if is_blank(text) and not turn.speech and all(message.kind == "request" for message in messages):
        return []
    if messages:
        # Return copies, because the cached messages are shared and a run may change the messages it gets.
        return [copy(message) for message in messages]
    return [portable(ModelRequest(parts=[UserPromptPart(text)]))]


def _without_stale_feedback(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """Drop each message that contains only retry feedback, if no response comes directly before it.

    Such feedback is about a response that was dropped before.
    """
    kept: list[ModelMessage] = []
    for message in messages:
        follows_reply = bool(kept) and kept[-1].kind == "response"
        if follows_reply or any(part.part_kind != "retry-feedback" for part in message.parts):
            kept.append(message)
    return kept


class ParsedMessages:
    """An LRU cache of parsed messages, because every later turn of a conversation needs them again.

    The cached messages have the form that every provider accepts (`portable_messages.py`). `room` is the maximum size
    of their JSON in bytes; the parsed messages take about three times as much memory.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._kept: OrderedDict[bytes, list[ModelMessage]] = OrderedDict()
        self.size = 0

    def get(self, messages: bytes) -> list[ModelMessage]:
        """Return the messages in this JSON, parsed or from the cache, in a form that every provider accepts."""
        found = self._kept.get(messages)
        if found is not None:
            self._kept.move_to_end(messages)
            return found
        from pydantic_ai.messages import ModelMessagesTypeAdapter

        parsed = [portable(message) for message in ModelMessagesTypeAdapter.validate_json(messages)]
        self._keep(messages, parsed)
        return parsed

    def _keep(self, messages: bytes, parsed: list[ModelMessage]) -> None:
        self._kept[messages] = parsed
        self.size += len(messages)
        while self.size > self._room:
            oldest, _ = self._kept.popitem(last=False)
            self.size -= len(oldest)


_parsed = ParsedMessages(PARSED_BYTES)


def _notes(turn: TurnRecord, heard_something: bool) -> list[str]:
    # A turn with a goodbye was stopped by the shutdown, not by the caller.
    interrupted = turn.status in (Status.INTERRUPTED, Status.SUPERSEDED) and turn.impact != "goodbye"
    cut = [CUT if heard_something else UNHEARD] if interrupted else []
    return cut + turn.notes


def _note(text: str) -> ModelMessage:
    from pydantic_ai.messages import ModelRequest, UserPromptPart

    return ModelRequest(parts=[UserPromptPart(text)])


def _paired(messages: Sequence[ModelMessage], turn: TurnRecord) -> list[ModelMessage]:
    """Ensure that exactly one result follows every tool call, and drop results without a call.

    A missing result is taken from the turn's record. If the record has none, the result is `UNANSWERED`.
    """
    results = results_of(turn) | {call.id: call.result for call in turn.tools if call.status in ("done", "failed")}
    paired: list[ModelMessage] = []
    waiting: list[str] = []
    for place, message in enumerate(messages):
        if message.kind == "response":
            calls = [part for part in message.parts if part.part_kind == "tool-call"]
            waiting = [call.tool_call_id for call in calls]
            answers = _answers(messages[place + 1 :])
            unanswered = [call for call in calls if not _removed(call.tool_call_id, answers)]
            paired += [message, *_results(unanswered, results)]
        else:
            parts = [
                part
                for part in message.parts
                if part.part_kind != "tool-return" or _removed(part.tool_call_id, waiting)
            ]
            paired += [message] if len(parts) == len(message.parts) else [replace(message, parts=parts)]
    return [message for message in paired if message.parts]


def _answers(messages: Sequence[ModelMessage]) -> list[str]:
    """Return the ids of the tool results that come before the first response in these messages."""
    following = takewhile(lambda message: message.kind == "request", messages)
    return [part.tool_call_id for message in following for part in message.parts if part.part_kind == "tool-return"]


def _removed(call_id: str, ids: list[str]) -> bool:
    """Remove the id from the list once; return whether it was there."""
    # Two calls of one response may have the same id. Then each of them needs a result.
    if call_id not in ids:
        return False
    ids.remove(call_id)
    return True


def _results(calls: Sequence[Any], results: dict[str, Any]) -> list[ModelMessage]:
    from pydantic_ai.messages import ModelRequest

    return [ModelRequest(parts=[_result(call, results) for call in calls])] if calls else []


def _result(call: Any, results: dict[str, Any]) -> Any:
    from pydantic_ai.messages import ToolReturnPart

    content = results.get(call.tool_call_id, UNANSWERED)
    return ToolReturnPart(tool_name=call.tool_name, content=content, tool_call_id=call.tool_call_id)

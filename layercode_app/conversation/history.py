"""The journal's turns as the messages a model is given: as they were heard, with every tool call answered."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

from .interruption import as_heard, heard_speech
from .record import Kind, Status, TurnRecord

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage

JOINED = "[The caller has joined the call.]"
"""Stands where a greeting has no words of the caller before it: some providers want a user first."""
CUT = "[The caller interrupted here, and heard nothing after the words above.]"
UNHEARD = "[The caller interrupted here, before hearing any answer.]"
PARSED_BYTES = 8_000_000
UNANSWERED = "The tool call was interrupted before a result was known."


def history_of(turns: Iterable[TurnRecord]) -> list[ModelMessage]:
    """The messages of several turns, oldest first."""
    return [message for turn in turns for message in messages_of(turn)]


def messages_of(turn: TurnRecord) -> list[ModelMessage]:
    """The messages of one turn: the caller's words, then the reply as it was heard, then what the model must know."""
    speech = heard_speech(turn)
    messages = _stored(turn)
    untouched = turn.heard_text is None and all(part.source == "model" for part in turn.speech)
    if not untouched or turn.status is not Status.COMPLETE or not turn.messages:
        messages = as_heard(messages, speech)
    return _answered(messages, turn) + [_note(note) for note in _notes(turn, bool(speech))]


def _stored(turn: TurnRecord) -> list[ModelMessage]:
    from pydantic_ai.messages import ModelRequest, UserPromptPart

    if turn.messages:
        # Copies, so that what one run does to a message is not done to the next one's.
        return [copy(message) for message in _parsed.get(turn.messages)]
    text = JOINED if turn.kind is Kind.GREETING else turn.user_text
    return [ModelRequest(parts=[UserPromptPart(text)])]


class ParsedMessages:
    """Messages as they were parsed: every later turn of a conversation asks for the same bytes again.

    So many bytes of JSON are kept, and what was longest not asked for makes room; they take about three times that.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._kept: OrderedDict[bytes, list[ModelMessage]] = OrderedDict()
        self.size = 0

    def get(self, messages: bytes) -> list[ModelMessage]:
        """The messages in this JSON."""
        found = self._kept.get(messages)
        if found is not None:
            self._kept.move_to_end(messages)
            return found
        from pydantic_ai.messages import ModelMessagesTypeAdapter

        parsed = ModelMessagesTypeAdapter.validate_json(messages)
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
    # A turn that said goodbye was cut by us, not by the caller.
    interrupted = turn.status in (Status.INTERRUPTED, Status.SUPERSEDED) and turn.impact != "goodbye"
    cut = [CUT if heard_something else UNHEARD] if interrupted else []
    return cut + turn.notes


def _note(text: str) -> ModelMessage:
    from pydantic_ai.messages import ModelRequest, UserPromptPart

    return ModelRequest(parts=[UserPromptPart(text)])


def _answered(messages: Sequence[ModelMessage], turn: TurnRecord) -> list[ModelMessage]:
    """Give every tool call a result right behind it: the recorded one, or the news that there is none."""
    from pydantic_ai.messages import ModelRequest, ModelResponse, ToolCallPart

    results = {call.id: call.result for call in turn.tools if call.status in ("done", "failed")}
    answered = _answers(messages)
    done: list[ModelMessage] = []
    for message in messages:
        done.append(message)
        if isinstance(message, ModelResponse):
            open_calls = [p for p in message.parts if isinstance(p, ToolCallPart) and p.tool_call_id not in answered]
            if open_calls:
                done.append(ModelRequest(parts=[_result(call, results) for call in open_calls]))
    return done


def _answers(messages: Sequence[ModelMessage]) -> set[str]:
    from pydantic_ai.messages import ModelRequest

    parts = [part for message in messages if isinstance(message, ModelRequest) for part in message.parts]
    return {str(part.tool_call_id) for part in parts if hasattr(part, "tool_call_id")}


def _result(call: Any, results: dict[str, Any]) -> Any:
    from pydantic_ai.messages import ToolReturnPart

    content = results.get(call.tool_call_id, UNANSWERED)
    return ToolReturnPart(tool_name=call.tool_name, content=content, tool_call_id=call.tool_call_id)

"""Find out what the caller heard of an interrupted reply, and correct the turn's record and messages accordingly."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..blank import is_blank
from ..journal.record import Speech, Status, TurnRecord
from ..webhook import InterruptionContext

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse

_WORD = re.compile(r"\S+")


def heard_text(spoken: str, context: InterruptionContext) -> str:
    """Return the part of the spoken text that the caller heard, according to the platform's report in `context`.

    Words are compared, because the platform may have changed white space; the result keeps the white space of
    `spoken`. If `spoken` does not begin with the platform's text, return the platform's text, because the platform
    knows what it played.
    """
    if context.text_heard is None:
        return spoken if context.words_heard is None else _first_words(spoken, context.words_heard)
    heard = context.text_heard.split()
    own = _first_words(spoken, len(heard))
    if own.split() == heard:
        return own
    # The last word may have been cut in the middle.
    whole = _first_words(spoken, len(heard) - 1)
    cut = spoken[len(whole) :].lstrip()
    if heard and whole.split() == heard[:-1] and cut.startswith(heard[-1]):
        return spoken[: len(spoken) - len(cut)] + heard[-1]
    return context.text_heard


def _first_words(text: str, count: int) -> str:
    if count <= 0:
        return ""
    for number, word in enumerate(_WORD.finditer(text), 1):
        if number == count:
            return text[: word.end()]
    return text


def correct(record: TurnRecord, context: InterruptionContext) -> bool:
    """Record what was heard of a turn. If its status is complete, set it to interrupted; keep any other status.

    Return whether the status was changed.
    """
    record.heard_text = heard_text(record.spoken_text, context)
    # The heard text may begin, and even end, in the speech of an earlier attempt, so compare it with all attempts.
    if record.before and not (record.heard_text and record.spoken_text.startswith(record.heard_text)):
        _correct_all(record, context)
    if record.status is not Status.COMPLETE:
        return False
    record.status = Status.INTERRUPTED
    return True


def _correct_all(record: TurnRecord, context: InterruptionContext) -> None:
    """Compare the heard text with the speech of all attempts of the turn, joined in order.

    The part of the heard text from earlier attempts becomes `record.before`; the part from the current attempt becomes
    `record.heard_text`. Change nothing if the joined speech does not begin with the heard text.
    """
    whole, end = record.before + record.spoken_text, len(record.before)
    heard = heard_text(whole, context)
    if whole.startswith(heard):
        record.before, record.heard_text = heard[:end], heard[end:]


def heard_speech(record: TurnRecord) -> list[Speech]:
    """Return the speech that the caller heard, beginning with the speech of earlier attempts of the turn."""
    before = [Speech("say", 0, record.before)] if record.before else []
    return before + _heard_of_attempt(record)


def _heard_of_attempt(record: TurnRecord) -> list[Speech]:
    if record.heard_text is None:
        return record.speech
    if not record.spoken_text.startswith(record.heard_text):
        return [Speech("say", 0, record.heard_text)]
    left, heard = len(record.heard_text), []
    for part in record.speech:
        if left <= 0:
            break
        heard.append(Speech(part.source, part.response, part.text[:left]))
        left -= len(part.text)
    return heard


def as_heard(messages: Sequence[ModelMessage], speech: Sequence[Speech]) -> list[ModelMessage]:
    """Replace the text of each response in a turn's portable messages by the part that was heard.

    Tool calls and their results stay, because they happened. A response with no parts left is dropped. Speech after the
    last response becomes a response at the end.
    """
    result: list[ModelMessage] = []
    ordinal = 0
    for message in messages:
        if message.kind == "response":
            result += _response_as_heard(message, _said_in(speech, ordinal))
            ordinal += 1
        else:
            result.append(message)
    rest = "".join(part.text for part in speech if part.response >= ordinal)
    return result + ([] if is_blank(rest) else _text_response(rest))


def _said_in(speech: Sequence[Speech], ordinal: int) -> str:
    return "".join(part.text for part in speech if part.response == ordinal)


def _response_as_heard(response: ModelResponse, heard: str) -> list[ModelMessage]:
    from pydantic_ai.messages import TextPart

    # Anthropic requires reasoning to be first, and all providers accept calls at the end.
    reasoning = [part for part in response.parts if part.part_kind == "thinking"]
    calls = [part for part in response.parts if part.part_kind == "tool-call"]
    parts = [*reasoning, *([] if is_blank(heard) else [TextPart(heard)]), *calls]
    return [replace(response, parts=parts, state="interrupted")] if parts else []


def _text_response(text: str) -> list[ModelMessage]:
    from pydantic_ai.messages import ModelResponse, TextPart

    return [ModelResponse(parts=[TextPart(text)])]

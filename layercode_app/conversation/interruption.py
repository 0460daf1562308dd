"""What the caller heard of a reply that was cut, and the messages of that turn corrected to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..webhook import InterruptionContext
from .blank import is_blank
from .record import Speech, Status, TurnRecord

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse

_WORD = re.compile(r"\S+")


def heard_text(spoken: str, context: InterruptionContext) -> str:
    """The part of what was spoken that the context says was heard, in our own spelling where it can be found.

    The platform may have changed white space, so words are counted rather than letters. A text that is not how the
    reply began is believed as it is: the platform knows what it played.
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


def correct(record: TurnRecord, context: InterruptionContext) -> None:
    """Write into a turn's record what was heard of it. A turn that was already cut keeps its status."""
    record.heard_text = heard_text(record.spoken_text, context)
    if record.before and not record.spoken_text.startswith(record.heard_text):
        _correct_all(record, context)
    if record.status is Status.COMPLETE:
        record.status = Status.INTERRUPTED


def _correct_all(record: TurnRecord, context: InterruptionContext) -> None:
    """Take what was heard for the beginning of all attempts together, where it is that."""
    whole, end = record.before + record.spoken_text, len(record.before)
    heard = heard_text(whole, context)
    if whole.startswith(heard):
        record.before, record.heard_text = heard[:end], heard[end:]


def heard_speech(record: TurnRecord) -> list[Speech]:
    """What was spoken, run by run, cut where the caller stopped hearing it; first what earlier attempts spoke."""
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
    """The portable messages of a turn with each response's text replaced by what was heard of it.

    Tool calls and their results stay, because they happened. A response of which nothing is left is dropped.
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

    # Anthropic wants reasoning first, and all providers accept calls last.
    reasoning = [part for part in response.parts if part.part_kind == "thinking"]
    calls = [part for part in response.parts if part.part_kind == "tool-call"]
    parts = [*reasoning, *([] if is_blank(heard) else [TextPart(heard)]), *calls]
    return [replace(response, parts=parts, state="interrupted")] if parts else []


def _text_response(text: str) -> list[ModelMessage]:
    from pydantic_ai.messages import ModelResponse, TextPart

    return [ModelResponse(parts=[TextPart(text)])]

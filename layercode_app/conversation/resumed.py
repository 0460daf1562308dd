"""Find the unheard part of an interrupted reply. For the history, join the interrupted turn and its continuation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from ..blank import is_blank
from ..journal.record import Speech, TurnRecord, clone
from .heard import heard_speech
from .sentences import to_sentence_end

QUESTION_MARKS = "?\uff1f\u061f"
"""The Latin, the full-width and the Arabic question mark."""
_SENTENCES = re.compile(r"(?<=[.!?\u2026])\s+|(?<=[\u3002\uff01\uff1f\u061f])")
_WORD = re.compile(r"\S+")
_NOT_LETTERS = re.compile(r"[\W_]+")
FIRST_WITHOUT_SPACES = "\u2e80"
"""From this character on, in the order of Unicode, scripts are taken to have no spaces between words, like Chinese."""


def rest_of(turn: TurnRecord) -> str:
    """Return the part of a reply that was not heard, without fillers; "" if there is none, or if it is not known."""
    at = _end_of_heard(turn)
    if at is None:
        return ""
    rest = ""
    for part in _speech_from(turn, at):
        # The space between two parts may have belonged to a filler that was left out.
        apart = not rest or rest[-1].isspace() or part.text[0].isspace()
        rest += part.text if apart else " " + part.text
    return rest.lstrip()


def asks(turn: TurnRecord) -> bool:
    """Return whether the caller's next words may answer a question of this turn.

    Only the last two sentences that were heard and the sentence that was cut off are searched for a question. Return
    True if it is not known what was heard.
    """
    at = _end_of_heard(turn)
    if at is None:
        return True
    sentence, _ = to_sentence_end(turn.spoken_text[at:])
    heard = "".join(_SENTENCES.split(turn.spoken_text[:at].rstrip())[-2:])
    return any(mark in heard + sentence for mark in QUESTION_MARKS)


def was_cut_off(turn: TurnRecord) -> bool:
    """Return whether the turn was stopped before its agent had written the whole reply."""
    if turn.cut_off:
        return True
    requests = [call for call in turn.requests if call.answers]
    stopped = ("running", "cancelled")
    if any(call.status in stopped for call in requests) or any(call.status in stopped for call in turn.tools):
        return True
    if turn.ended_at is not None:
        return False  # Its worker ended the turn, so `cut_off` is known. A reply may be complete before its tools run.
    return bool(turn.tools) and (not requests or requests[-1].started_ms < turn.tools[-1].started_ms)


def _end_of_heard(turn: TurnRecord) -> int | None:
    """Return where the heard words end in the spoken text; None if the spoken text does not begin with these words."""
    spoken, heard = turn.spoken_text, turn.heard_text
    if heard is None:
        return len(spoken)
    at = len(heard) if spoken.startswith(heard) else _end_of_words(spoken, heard.split())
    if at is None:
        return None
    # A word that was cut in the middle is said again.
    while 0 < at < len(spoken) and not (spoken[at - 1].isspace() or spoken[at].isspace()):
        if spoken[at] >= FIRST_WITHOUT_SPACES:
            break
        at -= 1
    return at


def _end_of_words(spoken: str, heard: Sequence[str]) -> int | None:
    """Return the index in `spoken` where the words in `heard` end; None if `spoken` does not begin with these words.

    Differences in case and punctuation are ignored.
    """
    words = list(_WORD.finditer(spoken))[: len(heard)]
    if [_letters(word[0]) for word in words] != [_letters(word) for word in heard]:
        return None
    return words[-1].end() if words else 0


def _letters(word: str) -> str:
    return _NOT_LETTERS.sub("", word).casefold()


def _speech_from(turn: TurnRecord, at: int) -> Iterator[Speech]:
    """Yield the speech from this position on, without fillers."""
    for part in turn.speech:
        text = part.text[max(at, 0) :]
        at -= len(part.text)
        if text and part.source != "filler":
            yield Speech(part.source, part.response, text)


# --- history


def joined(turns: Iterable[TurnRecord]) -> list[TurnRecord]:
    """Return the turns, with each interrupted reply and its continuation joined into one turn."""
    result: list[TurnRecord] = []
    previous = ""
    for turn in turns:
        if result and turn.resumes and turn.resumes == previous and not turn.messages:
            result[-1] = _joined(result[-1], turn)
        else:
            result.append(turn)
        previous = turn.turn_id
    return result


def _joined(cut: TurnRecord, resumed: TurnRecord) -> TurnRecord:
    """Return both turns as one: the interrupted turn, with the words that were heard in either of them."""
    whole = clone(cut)
    at = _end_of_heard(cut) or 0
    more = "".join(part.text for part in heard_speech(resumed))
    whole.status, whole.notes = resumed.status, [*cut.notes, *resumed.notes]
    whole.impact = resumed.impact if resumed.impact == "goodbye" else cut.impact
    rest = cut.spoken_text[at:]
    if not rest.lstrip().startswith(more):
        # The rest of the interrupted reply does not begin with the words heard in the resumed turn. Fillers were left
        # out of these words, or the platform reported them differently. So use the heard words, which are in `more`.
        whole.speech = [*_speech_until(cut, at), Speech("say", _last_response(cut), _after_space(cut, at, more))]
        whole.heard_text = None
    elif more == rest.lstrip():
        whole.heard_text = None
    else:
        blank = len(rest) - len(rest.lstrip()) if more else 0
        whole.heard_text = cut.spoken_text[: at + blank + len(more)]
    return whole


def _speech_until(turn: TurnRecord, at: int) -> Iterator[Speech]:
    for part in turn.speech:
        if at > 0 and not is_blank(part.text[:at]):
            yield Speech(part.source, part.response, part.text[:at])
        at -= len(part.text)


def _last_response(turn: TurnRecord) -> int:
    return turn.speech[-1].response if turn.speech else 0


def _after_space(turn: TurnRecord, at: int, text: str) -> str:
    before = turn.spoken_text[:at]
    return text if not before or before[-1].isspace() else " " + text

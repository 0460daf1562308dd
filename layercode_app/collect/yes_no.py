"""Yes-or-no answers: "sure, go ahead", "not really"."""

from __future__ import annotations

from typing import Any, ClassVar

from ..conversation.turn import Turn
from ..journal.record import Json
from .toolset import Collector
from .understood import Result, Unclear, Understood
from .words import split

YES = {
    "yes", "yeah", "yep", "yup", "yes please", "sure", "sure thing", "of course", "okay", "ok", "correct", "right",
    "that's right", "that is right", "that's correct", "that is correct", "exactly", "absolutely", "definitely", "certainly",
    "indeed", "affirmative", "please do", "go ahead", "sounds good", "sounds great", "that works", "fine", "that's fine",
    "perfect", "great", "good", "i do", "i am", "i would", "i think so", "why not", "by all means", "uh huh", "mhm", "aye",
    "you bet", "that's it", "true", "do it", "all good", "no problem", "it is", "yes it is", "yes i do", "i guess so",
}  # fmt: skip
NO = {
    "no", "nope", "nah", "no thanks", "no thank you", "not really", "not at all", "not now", "not yet", "never", "wrong",
    "incorrect", "negative", "that's wrong", "that is wrong", "that's not right", "that's not correct", "that isn't right",
    "don't", "please don't", "i don't", "i don't think so", "i'd rather not", "i would rather not", "no way", "not quite",
    "false", "it isn't", "it's not", "no it isn't", "no it's not", "no i don't", "i'm not", "certainly not", "of course not",
    "absolutely not", "definitely not", "uh uh", "neither", "forget it", "i do not", "not correct", "not right",
}  # fmt: skip
SOFT = {"um", "uh", "er", "well", "oh", "so", "please", "thanks", "thank", "you", "hm", "hmm", "ah", "just", "really", "very",
        "much", "then", "and"}  # fmt: skip
AGAIN = "Is that a yes or a no?"


def understand(heard: str) -> Result[bool]:
    """Return True for yes and False for no. If the words say both or neither, return a question to ask the caller."""
    text = " ".join(split(heard))
    if text in YES | NO:
        return Understood(text in YES)
    found = _answers(text.split())
    return Understood(found.pop()) if len(found) == 1 else Unclear(AGAIN)


def _answers(tokens: list[str]) -> set[bool]:
    """Return the answers in the words: True for yes, False for no.

    If a word is neither part of an answer nor a filler, the answer is unclear. The result is then {True, False}.
    """
    found: set[bool] = set()
    at = 0
    while at < len(tokens):
        length = next((size for size in (5, 4, 3, 2, 1) if " ".join(tokens[at : at + size]) in YES | NO), 0)
        if length:
            found.add(" ".join(tokens[at : at + length]) in YES)
            at += length
        elif tokens[at] in SOFT:
            at += 1
        else:
            return {True, False}
    return found


def say(value: bool) -> str:
    """Return the words with which the agent repeats the answer."""
    return "yes" if value else "no"


class YesNo(Collector[bool]):
    """Collects a yes or no. The agent reads the answer back. With `confirm=True`, the caller must also confirm it."""

    label: ClassVar[str] = "answer"

    def __init__(self, field: str, question: str, **options: Any) -> None:
        given: dict[str, Any] = {"confirm": False, "reply": "{value}."}
        super().__init__(field, question=question, **(given | options))

    def understand(self, heard: str, turn: Turn[Any, Any]) -> Result[bool]:
        """Return True for yes and False for no. If the words say both or neither, return a question for the caller."""
        return understand(heard)

    def say(self, value: bool) -> str:
        """Return the words with which the agent repeats the answer."""
        return say(value)

    def to_json(self, value: bool) -> Json:
        """Return the answer as JSON for the journal."""
        return value

    def from_json(self, kept: Any) -> bool:
        """Return the answer from its JSON in the journal."""
        return bool(kept)

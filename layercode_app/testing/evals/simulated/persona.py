"""Let a model play a caller.

The model knows the caller's persona, goal and facts, and the conversation so far, but not the agent's prompt.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal

from pydantic import BaseModel, Field

from ....exceptions import CallerError
from ....judging.spending import answer_of
from .caller_spec import CallerSpec
from .mind import Hearing, Move
from .spoken_words import HANG_UP, spoken_words

ANSWER_SECONDS = 60.0
"""The time that the caller's model gets for one line."""
MOST_SAME = 3
"""The caller hangs up when the model says the same line, or nothing, this many times in a row."""
_ACTION = re.compile(r"[\W_]*(silent|hang_up|goal_reached)[\W_]*", re.IGNORECASE)
_WORDS = re.compile(r"""["']words["']\s*:\s*("(?:[^"\\]|\\["\\/bfnrt])*")""")
"""Matches the words in an answer that is not valid JSON."""
INSTRUCTIONS = """\
You play a caller on the telephone; a voice agent answers. Stay in your role, and speak as people speak on the phone: one or
two short sentences, no lists. Tell only what you are asked for, and invent no facts. Speak for yourself only, never for
the agent. Say nothing when you wait. As soon as your goal is reached, or cannot be reached, end the call."""


class CallerMove(BaseModel):
    # The model that plays the caller gets this docstring with the schema.
    """What you do next."""

    action: Literal["say", "silent", "hang_up", "goal_reached"] = Field(
        description="`goal_reached` and `hang_up` end the call: `goal_reached` if everything you wanted is done, "
        "and `hang_up` if it will not be done."
    )
    words: str = Field(default="", description="Your words, if you say something.")


class Persona:
    """The mind of a caller played by a model."""

    def __init__(self, spec: CallerSpec, model: Any, *, seconds: float = ANSWER_SECONDS) -> None:
        from pydantic_ai import Agent

        self._agent: Agent[None, CallerMove | str] = Agent(
            model, instructions=f"{INSTRUCTIONS}\n\n{role(spec)}", output_type=[CallerMove, str], retries=2
        )
        self._seconds = seconds
        self._said: list[str] = []
        self._end: Move | None = None

    @property
    def satisfied(self) -> bool:
        """Whether the model said that the caller's goal is reached."""
        return self._end is not None and self._end.reached

    async def next(self, hearing: Hearing) -> Move:
        """Ask the model for the next move. Raises CallerError if the model fails or times out."""
        if self._end is not None:
            return self._end
        asked, who = conversation(hearing), "the caller's model"
        answer = await answer_of(self._agent, asked, seconds=self._seconds, who=who, error=CallerError)
        return self._bounded(understood(answer))

    def _bounded(self, move: Move) -> Move:
        """Return the move, or a move that hangs up if the model repeats itself.

        It repeats itself if it said the same line, or nothing, MOST_SAME times in a row.
        """
        if move.last:
            self._end = Move(None, reached=move.reached)
        if move.say is None or move.last:
            return move
        self._said.append(move.say.casefold())
        last = self._said[-MOST_SAME:]
        if len(last) == MOST_SAME and len(set(last)) == 1:
            what = repr(move.say) if move.say else "nothing"
            return Move(None, f"the caller hung up, because their model said {what} {MOST_SAME} times in a row")
        return move


def role(spec: CallerSpec) -> str:
    """Return the description of the caller for the model."""
    facts = "\n".join(f"- {name}: {value}" for name, value in spec.facts.items())
    parts = [spec.persona and f"You are: {spec.persona}", f"Your goal: {spec.goal}", facts and f"You know:\n{facts}"]
    return "\n".join(part for part in parts if part)


def conversation(hearing: Hearing) -> str:
    """Return what the caller said and heard. An interrupted reply ends where the caller interrupted it."""
    lines: list[str] = []
    for said, heard in hearing.exchanges:
        lines += [f"you: {said or '(silent)'}"] if lines or said else []
        lines.append(f"agent: {heard or '(says nothing)'}")
    return "The call so far:\n" + "\n".join(lines) + "\n\nWhat do you do next?"


def understood(answer: CallerMove | str) -> Move:
    """Return the move that the model meant, whether it answered with a CallerMove or in plain text."""
    move = _from_text(answer) if isinstance(answer, str) else answer
    words = "" if HANG_UP.fullmatch(move.words.strip()) else spoken_words(move.words)
    if move.action in ("hang_up", "goal_reached"):
        return Move(words or None, reached=move.action == "goal_reached", last=bool(words))
    if HANG_UP.fullmatch(move.words.strip()):
        return Move(None)
    return Move("" if move.action == "silent" else words)


def _from_text(text: str) -> CallerMove:
    """Return the move in a text, which may be JSON (also in a code block), the name of an action, or spoken words."""
    if named := _ACTION.fullmatch(text):
        return CallerMove.model_validate({"action": named[1].lower()})
    found = re.search(r"\{.*\}", text, re.DOTALL)
    try:
        return CallerMove.model_validate_json(found[0]) if found else CallerMove(action="say", words=text)
    except ValueError:
        words = _WORDS.search(text)
        return CallerMove(action="say", words=json.loads(words[1], strict=False) if words else text)

"""Ask the caller before a tool runs. The caller's next message decides whether the tool runs.

The tool calls that wait for the caller's answer are in the record of the turn that asked (`conversation/pending.py`). A
plain yes or no is recognised in code: the next run begins with a response that makes the same tool calls, and these are
approved or denied. Any other answer goes to the model. If the model repeats a tool call with the same arguments, the
tool call counts as approved. If the model changes the arguments, the caller is asked again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from ..blank import is_blank
from ..conversation.history import reasoning_before
from ..conversation.pending import Pending, dropped, key_of, pending_of
from ..conversation.resumed import rest_of, was_cut_off
from ..conversation.turn import Turn
from .confirm_options import DEFAULT_CONFIRM, Confirm, question_of
from .plain_messages import jsonable
from .yes_no import plain_answer

if TYPE_CHECKING:
    from pydantic_ai import DeferredToolRequests
    from pydantic_ai.messages import ModelMessage

    from .voice_agent import VoiceAgent

DENIED = "The caller said no, so it was not run."
"""The result of a denied tool call, as the model reads it."""


@dataclass(frozen=True)
class RunInput:
    """The input of a run: a prompt, or messages that end with tool calls that the caller has approved or denied."""

    prompt: str | None
    lead: Sequence[ModelMessage] = ()
    """The messages of this turn before the run."""
    approvals: Mapping[str, Any] = field(default_factory=dict)
    """The caller's decision about each tool call at the end of `lead`, by the call's id: True, or a ToolDenied."""
    offered: Pending | None = None
    """The tool calls about which the caller was asked. If the model repeats such a call, it counts as approved."""


async def ask(voice: VoiceAgent[Any, Any], turn: Turn[Any, Any], requests: DeferredToolRequests) -> None:
    """Save the tool calls in the journal, then ask the caller about all of them at once."""
    questions: list[str] = []
    calls: list[dict[str, Any]] = []
    for call in requests.approvals:
        args = call.args_as_dict()
        calls.append({"id": call.tool_call_id, "name": call.tool_name, "args": jsonable(args)})
        questions.append(await question_of(voice, turn, call.tool_name, args))
    question = " ".join(dict.fromkeys(questions))
    await _speak_question(turn, Pending(question, calls, heard=False, stage=turn.live.run.stage))


async def _speak_question(turn: Turn[Any, Any], pending: Pending, words: str = "") -> None:
    """Save the tool calls as pending, and speak the question about them.

    If `words` is not empty, speak `words` instead of the question. The calling code passes only words that end with the
    question.
    """
    turn.record.pending = pending.kept(heard=False)
    await turn.live.checkpoint()
    turn.live.spoken.begin_segment()
    await turn.speak(words or pending.question, "say")


def given_up(turn: Turn[Any, Any], pending: Pending) -> None:
    """Drop the pending tool calls, and add a note that tells the model in the next turns that they were dropped."""
    turn.record.pending = None
    turn.record.notes.append(dropped(pending))


def waiting(turn: Turn[Any, Any], *, for_model: bool) -> Pending | None:
    """Return the pending tool calls if the caller's message in this turn can decide about them, otherwise None.

    Pending tool calls of another session or agent are dropped. `for_model` tells whether a model answers this turn. If
    it is false, for example because the turn is a greeting, all pending tool calls are dropped.
    """
    pending = pending_of(turn.last)
    if pending is None or turn.last is None:
        return None
    if for_model and turn.last.session_id == turn.session_id and pending.agent == turn.agent:
        return pending
    given_up(turn, pending)
    return None


class Decision:
    """Handles the caller's answer about the pending tool calls. Call `without_model`, then `run_input`, then `end`."""

    def __init__(self, voice: VoiceAgent[Any, Any], turn: Turn[Any, Any], pending: Pending) -> None:
        self._turn = turn
        self._pending = pending
        self._answer = _answer(voice, turn.text, pending)
        self._remembers = voice.remembers

    async def without_model(self) -> bool:
        """Handle the caller's message without a model if possible. Return whether that was done.

        If the caller did not hear the question, and now says yes, no or nothing, the question is asked again. If the
        caller heard the question and says nothing, the tool calls are dropped.
        """
        blank = is_blank(self._turn.text)
        if not self._pending.heard and (blank or self._answer):
            await _speak_question(self._turn, self._pending, self._unheard())
            return True
        if blank:
            given_up(self._turn, self._pending)
        return blank

    def _unheard(self) -> str:
        """Return the part of the last reply that the caller did not hear: the question, and any details before it.

        Return "" if the reply was stopped before the agent had written all of it, or if the unheard part does not end
        with the question.
        """
        last = self._turn.last
        rest = "" if last is None or was_cut_off(last) else rest_of(last)
        return rest if rest.endswith(self._pending.question) else ""

    def run_input(self) -> RunInput:
        """Return the input of the model run that follows the caller's answer.

        The tool calls stay pending until one of them runs. So they are not lost if this turn is interrupted earlier.
        """
        turn, pending = self._turn, self._pending
        if turn.live.flow is not None and pending.stage in turn.live.flow.stages:
            turn.go_to(pending.stage)  # The conversation may have moved on to a stage without these tools.
        self._kept = turn.record.pending = pending.kept(heard=pending.heard)
        if self._answer is None:
            return RunInput(turn.text, offered=pending if pending.heard else None)
        return self._decided(self._answer)

    async def end(self) -> None:
        """After the run, drop the tool calls that are still pending, or ask the question about them again.

        The question is asked again, and the tool calls stay pending, if the caller did not hear the question and no
        other agent has taken over the conversation.
        """
        if self._turn.record.pending is not self._kept:
            return
        if self._answer is not None:
            self._turn.record.pending = None
        elif self._pending.heard or self._turn.record.handed_to:
            given_up(self._turn, self._pending)
        else:
            await _speak_question(self._turn, self._pending)

    def _decided(self, answer: Literal["yes", "no"]) -> RunInput:
        from pydantic_ai import ToolDenied
        from pydantic_ai.messages import ModelRequest, ModelResponse, ToolCallPart, UserPromptPart

        single = {key_of(call["name"], call["args"]): call for call in reversed(self._pending.calls)}
        calls = [
            ToolCallPart(call["name"], call["args"], tool_call_id=f"call_{uuid4().hex[:24]}")
            for call in reversed(single.values())
        ]
        decision: Any = True if answer == "yes" else ToolDenied(DENIED)
        return RunInput(
            None,
            [
                ModelRequest(parts=[UserPromptPart(self._turn.text)]),
                ModelResponse(parts=[*self._reasoning(), *calls]),
            ],
            {call.tool_call_id: decision for call in calls},
        )

    def _reasoning(self) -> list[Any]:
        """Return the signed reasoning that preceded the tool calls. Anthropic refuses tool calls without it."""
        asked = self._turn.past if self._remembers else ()
        call_id = str(self._pending.calls[0]["id"])
        return next((found for turn in reversed(asked) if (found := reasoning_before(turn, call_id))), [])


def _answer(voice: VoiceAgent[Any, Any], text: str, pending: Pending) -> Literal["yes", "no"] | None:
    confirms: list[Confirm] = [voice.confirm.get(call["name"], DEFAULT_CONFIRM) for call in pending.calls]
    yes = [word for confirm in confirms for word in confirm.yes]
    no = [word for confirm in confirms for word in confirm.no]
    return plain_answer(text, yes, no, question=pending.question)

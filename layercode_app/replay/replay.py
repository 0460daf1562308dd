"""Replay a recording against the current agent: answer every turn again, each with its recorded history."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..agent.voice_agent import VoiceAgent
from ..conversation.listener import Listener
from ..conversation.turn import Turn
from ..exceptions import JudgeError
from ..journal.record import TTS, Frame, Json, ToolCall, TurnRecord
from ..judging.judge import Judge
from ..settings.limits import Limits
from ..testing.turn import spoken_line
from .differences import NOT_RUN, Comparison, Difference
from .recorded_tools import Recordings
from .recording import Recording, said, was_stopped
from .rehearsal import Rehearsal, StandIn
from .replay_model import NothingRecordedError, RecordedModel
from .sandbox import Sandbox
from .versions import Versions, versions_of

if TYPE_CHECKING:
    from pydantic_ai.models import Model

QUESTION = (
    "When this call was recorded, the agent's last reply was: {recorded!r}. Does the agent's last reply mean the same: "
    "the same facts, offers and questions, even in other words?"
)

NOT_LOADED = "the replay was not given this agent"


@dataclass(frozen=True)
class Options:
    """Options of a replay. By default, model answers and tool results come from the recording.

    If `model` is given, that model answers instead. With `run_tools`, the tools run instead. With `semantic`, the
    comparison is less strict (see `differences`). A `judge` compares replies by their meaning, and implies `semantic`.
    """

    model: str | None = None
    run_tools: bool = False
    semantic: bool = False
    judge: Judge | None = None


@dataclass
class ReplayedTurn:
    """One turn, recorded and replayed. `new` is None if it could not be replayed.

    `note` says why it could not be replayed, or what was not compared.
    """

    number: int
    old: TurnRecord
    new: TurnRecord | None = None
    differences: list[Difference] = field(default_factory=list)
    note: str = ""
    verdict: dict[str, str] | None = None

    def to_json(self) -> dict[str, Json]:
        """Return the turn as JSON."""
        return {
            "number": self.number,
            "turn_id": self.old.turn_id,
            "caller": self.old.user_text,
            "recorded": self.old.spoken_text,
            "came": self.new.spoken_text if self.new else None,
            "differences": [difference.to_json() for difference in self.differences],
            "not_compared": self.note or None,
            "judge": self.verdict,
        }


@dataclass
class Replay:
    """A replayed conversation. `agent` answered in place of the agent that began the call."""

    conversation_id: str
    agent: str
    options: Options
    masked: bool
    began: str
    """The agent that began the recorded call."""
    versions: dict[str, Versions]
    """The versions of each replayed agent, by its name in the recording."""
    missing: dict[str, str]
    """The agents of the call that are not loaded, and why."""
    turns: list[ReplayedTurn] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """True if a turn was replayed, no turn differs from the recording, and all agents of the call are loaded."""
        replayed = any(turn.new for turn in self.turns)
        return replayed and not self.missing and not any(turn.differences for turn in self.turns)

    def to_json(self) -> dict[str, Json]:
        """Return the replay as JSON, for `replay --json`."""
        options = self.options
        return {
            "ok": self.same,
            "conversation_id": self.conversation_id,
            "agent": self.agent,
            "versions": self.versions[self.began].to_json(),
            "agents": {name: versions.to_json() for name, versions in self.versions.items()},
            "model": options.model or "recorded",
            "tools": "run" if options.run_tools else "recorded",
            "compared": "semantic" if options.semantic or options.judge else "strict",
            "masked": self.masked,
            "missing": self.missing,
            "turns": [turn.to_json() for turn in self.turns],
        }


async def replay(
    recording: Recording,
    voice: VoiceAgent[Any, Any],
    options: Options | None = None,
    *,
    others: Sequence[VoiceAgent[Any, Any]] = (),
    why: Mapping[str, str] | None = None,
    limits: Limits | None = None,
    done: Callable[[], None] = lambda: None,
) -> Replay:
    """Answer every turn again and compare it with the recording. `done` is called after each turn.

    `voice` answers the turns of the agent that began the call. The turns of each other recorded agent are answered by
    the agent in `others` that has the same name. `why` maps the name of each agent that could not be loaded to the
    reason.

    A turn that cannot be answered again gets a note that says why. Raises ForkError if `options.model` is given but
    `voice` answers without a model, and ConfigurationError if `options.model` cannot be used.
    """
    options = options or Options()
    voices = {recording.agent: voice} | {one.name: one for one in others if one.name != recording.agent}
    versions = {name: versions_of(recording, name, one) for name, one in voices.items()}
    missing = {turn.agent: NOT_LOADED for turn in recording.spoken if turn.agent not in voices} | dict(why or {})
    call = recording.conversation_id
    result = Replay(call, voice.name, options, recording.masked, recording.agent, versions, missing)
    async with _models(recording.agent, voices, options.model) as models:
        for number, old in enumerate(recording.spoken, 1):
            turn = ReplayedTurn(number, old, note=recording.why_not(old) or _why_no_agent(old, voices) or "")
            if not turn.note:
                await _play(turn, recording, voices[old.agent], models[old.agent], options, limits)
            result.turns.append(turn)
            done()
    return result


def _why_no_agent(turn: TurnRecord, voices: Mapping[str, VoiceAgent[Any, Any]]) -> str | None:
    """Return why no agent can answer the turn again; None if an agent can."""
    if turn.handed_by:
        before = " and ".join(map(repr, turn.handed_by))
        return f"{before} handed the turn to {turn.agent!r}, but in a replay only one agent can answer a turn"
    return None if turn.agent in voices else f"agent {turn.agent!r}, which answered the turn, is not loaded"


@asynccontextmanager
async def _models(
    began: str, voices: Mapping[str, VoiceAgent[Any, Any]], name: str | None
) -> AsyncIterator[Mapping[str, Model | None]]:
    """Yield the model of each agent: the model `name` with open connections, or None without `name`.

    An agent to which the call was handed over also gets None if it answers without a model. Raises ForkError if the
    agent that began the call answers without a model, but `name` is given.
    """
    models: dict[str, Model | None] = dict.fromkeys(voices)
    async with AsyncExitStack() as opened:
        for agent, voice in voices.items():
            if name is not None and (voice.agent is not None or agent == began):
                models[agent] = model = Rehearsal(voice, model=name).model
                if model is not None:
                    await opened.enter_async_context(model)
        yield models


async def _play(
    turn: ReplayedTurn,
    recording: Recording,
    voice: VoiceAgent[Any, Any],
    model: Model | None,
    options: Options,
    limits: Limits | None,
) -> None:
    old = turn.old
    sandbox = await Sandbox.before(recording.turns, old, limits=limits)
    recorded = RecordedModel(old, conversation_id=sandbox.conversation_id, script=voice.script)
    if model is None and voice.agent is not None:
        model = recorded.model()
    tools = None
    if not options.run_tools:
        in_place_of = {voice.name: old.agent}
        tools = Recordings(recording.turns, voices=[voice], in_place_of=in_place_of, longest=0.0)
        tools.answering(old)
    caller = _Caller(old, tools)
    rehearsal = Rehearsal(voice, model=model, tools=caller.answer_tool, fillers=False)
    with _no_model() if options.model is None else nullcontext():
        turn.new = await sandbox.answer(rehearsal, sandbox.event(), caller)
        await sandbox.finish()
    comparison = Comparison(
        old,
        turn.new,
        semantic=options.semantic or options.judge is not None,
        recorded_model=options.model is None,
        stood_in=frozenset(tools.used) if tools else frozenset(),
        error=rehearsal.error,
        masked=recording.masked,
    )
    turn.note = "" if comparison.tools_ran else NOT_RUN
    _count_answers(turn, recorded, options)
    turn.differences += comparison.differences()
    await _compare_words(turn, comparison, recording, options.judge)


def _count_answers(turn: ReplayedTurn, recorded: RecordedModel, options: Options) -> None:
    """Add a difference if the agent made more or fewer model requests than were recorded."""
    if options.model is not None or was_stopped(turn.old):
        return
    if recorded.exhausted or (recorded.asked < recorded.recorded and turn.old.error is None):
        turn.differences.append(Difference("requests to the model", recorded.recorded, recorded.asked))


async def _compare_words(turn: ReplayedTurn, comparison: Comparison, recording: Recording, judge: Judge | None) -> None:
    different = comparison.words()
    if different is None or isinstance(comparison.error, NothingRecordedError):
        return
    if judge is not None:
        reason = await _refused(turn, recording, judge)
        if reason is None:
            return
        different = replace(different, what=f"speech, {reason}")
    turn.differences.append(different)


async def _refused(turn: ReplayedTurn, recording: Recording, judge: Judge) -> str | None:
    """Let the judge compare the new reply with the recorded one. Return why it rejects the new reply, or None.

    An error of the judge counts as a rejection.
    """
    try:
        verdict = await judge(QUESTION.format(recorded=said(turn.old)), _transcript(recording, turn))
    except JudgeError as error:
        return str(error)
    turn.verdict = verdict.model_dump()
    return f"the judge says no: {verdict.reason}" if verdict.answer == "no" else None


def _transcript(recording: Recording, turn: ReplayedTurn) -> str:
    """Return a transcript: the earlier turns as the caller heard them, then the replayed turn."""
    assert turn.new is not None
    lines: list[str] = []
    for past in recording.spoken[: turn.number - 1]:
        lines += [spoken_line("caller", past.user_text)] if past.user_text else []
        lines.append(spoken_line("agent", past.heard))
    lines += [spoken_line("caller", turn.old.user_text)] if turn.old.user_text else []
    lines.append(spoken_line("agent", said(turn.new)))
    return "\n".join(lines + ["(the caller interrupted this reply)"] * was_stopped(turn.old))


def _no_model() -> AbstractContextManager[None]:
    """Block requests to real models while the recording answers, including requests of tools and hooks."""
    from pydantic_ai.models import override_allow_model_requests

    return override_allow_model_requests(False)


class _Caller(Listener):
    """Simulates the caller of a recorded turn. If the recorded turn was stopped, the replay stops at the same place."""

    def __init__(self, old: TurnRecord, tools: StandIn | None) -> None:
        super().__init__(self._hear)
        self._leaves = was_stopped(old)
        self._words = len(said(old))
        self._calls = len(old.tools)
        self._tools = tools
        if self._leaves and not self._words and not self._calls:
            self.leave()

    async def _hear(self, frames: Sequence[Frame]) -> None:
        self._words -= sum(len(frame.content) for frame in frames if frame.type == TTS)
        self._check()
        await asyncio.sleep(0)

    def answer_tool(self, call: ToolCall, turn: Turn[Any, Any]) -> Awaitable[Json] | None:
        """Return the recorded answer to a tool call; None lets the tool run."""
        self._calls -= 1
        self._check()
        return None if self._tools is None else self._tools(call, turn)

    def _check(self) -> None:
        if self._leaves and self._words <= 0 and self._calls <= 0:
            # Leave from outside the turn, as a caller does: a task that cancels itself stops only at a later await.
            asyncio.get_running_loop().call_soon(self.leave)

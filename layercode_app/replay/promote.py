"""Turn a recording into an eval scenario: what was said, done and heard, without personal details."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..agent.offline import MODEL_NAME
from ..journal.record import BY_MODEL, DATA, HANGUP, TTS, Json, Kind, Status, TurnRecord
from ..testing.evals.scenario import Expectation, ExpectedCall, Scenario, ScenarioFile, Step
from .recording import Recording, was_stopped
from .replacements import OMITTED, StandIns

LABEL = "recorded"
HEADER = (
    "# From a recorded call; personal details are replaced. `eval` runs the agent's tools. "
    "If a tool must not run, add it under `mock`.\n"
)
SAME = "Does the reply mean the same as this one, even in other words? {text!r}"


def promote(recording: Recording, stand_ins: StandIns, *, name: str, agent: str | None = None) -> ScenarioFile:
    """Return a recording as a scenario for `agent`; by default, for the agent that began the call.

    This agent may hand the call over, as in the recording. The scenario expects the recorded words, except fillers and
    the words of a real model, which vary. A judge compares the meaning of a real model's words, unless the reply was
    interrupted. Turns that cannot be answered again are left out.
    """
    turns = [turn for turn in recording.spoken if recording.why_not(turn) is None]
    shared = _shared([turn.metadata for turn in turns])
    event: Mapping[str, Any] = (turns[0].event if turns else None) or {}
    scenario = Scenario(
        name=name,
        labels=[LABEL],
        metadata=stand_ins.metadata(shared),
        from_phone_number=_replaced(event.get("from_phone_number"), stand_ins),
        to_phone_number=_replaced(event.get("to_phone_number"), stand_ins),
        turns=[_step(turn, shared, stand_ins) for turn in turns],
    )
    return ScenarioFile(agent=agent or recording.agent, scenarios=[scenario])


def _shared(every: Sequence[Mapping[str, Json]]) -> dict[str, Json]:
    """Return the metadata that all turns share."""
    first = every[0] if every else {}
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in every)}


def _replaced(text: str | None, stand_ins: StandIns) -> str | None:
    return stand_ins.caller(text) if text else None


def _step(turn: TurnRecord, shared: Mapping[str, Json], stand_ins: StandIns) -> Step:
    own = {name: value for name, value in turn.metadata.items() if name not in shared}
    stopped = was_stopped(turn)
    cut = stopped or len(turn.heard.rstrip()) < len(turn.spoken_text.rstrip())
    failed = turn.status is Status.FAILED and not stopped
    return Step(
        say=None if turn.kind is Kind.GREETING else stand_ins.caller(turn.user_text),
        interrupt=len(turn.heard.split()) if cut else None,
        playing=cut and not stopped,
        metadata=stand_ins.metadata(own),
        # A failed turn is kept with an empty expectation, so that the scenario checks that it no longer fails.
        expect=Expectation() if failed else _expectation(turn, stopped, stand_ins),
        judge=None if failed or cut else _question(turn, stand_ins),
    )


def _expectation(turn: TurnRecord, stopped: bool, stand_ins: StandIns) -> Expectation:
    take = stand_ins.beginning if stopped else stand_ins.agent
    until = _heard_until(turn) if stopped else float("inf")
    calls = [call for call in turn.tools if call.ended_ms is not None and call.ended_ms <= until]
    tools: list[ExpectedCall | str] = [ExpectedCall(name=c.name, args=_part(c.args, stand_ins)) for c in calls]
    data = [stand_ins.expected(frame.content) for frame in turn.frames if frame.type == DATA and frame.at_ms <= until]
    return Expectation(
        contains=[piece for text in _texts(turn, stopped) for piece in take(text)],
        tools=None if not tools and (stopped or turn.kind is Kind.GREETING) else tools,
        data=[value for value in data if value is not OMITTED],
        hangup=True if any(frame.type == HANGUP for frame in turn.frames) else None,
    )


def _part(args: Json, stand_ins: StandIns) -> dict[str, Any]:
    value = stand_ins.expected(args)
    return dict(value) if isinstance(value, dict) else {}


def _texts(turn: TurnRecord, stopped: bool) -> list[str]:
    """Return the texts that the agent will say again word for word. `stopped` tells whether the reply was cut short.

    Fillers and the words of a real model are left out, because they vary. The text is split where they were.
    """
    if stopped:
        by_model = any(part.source in (*BY_MODEL, "filler") for part in turn.speech)
        whole = turn.spoken_text.startswith(turn.heard) and (turn.model == MODEL_NAME or not by_model)
        return [turn.heard] if whole else []
    texts = [""]
    for part in turn.speech:
        if part.source == "filler" or (part.source in BY_MODEL and turn.model != MODEL_NAME):
            texts.append("")
        else:
            texts[-1] += part.text
    return texts


def _question(turn: TurnRecord, stand_ins: StandIns) -> str | None:
    """Return a question for the judge: whether a new reply means the same as the recorded words of a real model.

    Return None if no real model spoke in the recorded turn.
    """
    by_model = "".join(part.text for part in turn.speech if part.source in BY_MODEL)
    if not by_model or turn.model == MODEL_NAME:
        return None
    return SAME.format(text=" … ".join(stand_ins.agent(by_model)))


def _heard_until(turn: TurnRecord) -> float:
    """Return the time at which the last heard word was sent, in milliseconds."""
    left = len(turn.heard.rstrip())
    at = 0.0
    for frame in turn.frames:
        if left <= 0:
            break
        if frame.type == TTS:
            left, at = left - len(frame.content), frame.at_ms
    return at

"""Judge a sample of the calls after they have ended. Each call is judged by a job, within a daily cost limit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from loguru import logger

from ..conversation.feedback import NAME as FEEDBACK
from ..conversation.flow import handed_fields, own_fields
from ..exceptions import ConfigurationError, DeveloperError
from ..journal.record import Json, TurnRecord
from ..journal.review import REVIEW
from ..journal.stores.base import Job, Store
from ..journal.task_jobs import TASK
from ..judging import daily_limit
from ..judging.case import instructions_of, written_case
from ..judging.judge import WHOLE_CALL, Judge, Verdict, model_judge
from ..judging.spending import Spent, counting
from ..judging.stock import questions, stock
from ..observability import metrics, spans
from ..observability.privacy import caller_secrets, masking
from ..observability.privacy.masked_values import masked
from ..webhook import SessionEnd
from .models import named_model
from .summarise import transcript_of, turns_of_session, writes

if TYPE_CHECKING:
    from .voice_agent import VoiceAgent

Judges: TypeAlias = "Sequence[str] | Mapping[str, str]"
JUDGE_CALL = "layercode.judge_call"
SCORES: dict[str, Json] = {"yes": True, "no": False, "maybe": "maybe"}
"""The score for each answer. The mean of a score ignores `maybe`."""
LONGEST_CALL = 60_000
"""Maximum characters of a transcript. Only the end of a longer call is judged."""
RESERVED = {REVIEW: "a person's verdict on a call", FEEDBACK: "the caller's rating of a turn"}
"""The names of scores that no judge may use, each with the meaning of the score."""


@dataclass(frozen=True)
class LiveJudges:
    """The questions about ended calls, keyed by score name, and the share of calls that are judged."""

    questions: Mapping[str, str] = field(default_factory=dict)
    sample: float = 0.0

    def choose(self, conversation_id: str, session_id: str) -> bool:
        """Return whether to judge a call.

        The result depends only on the two IDs, so it stays the same if the call's end event is delivered again.
        """
        digest = hashlib.sha256(f"{conversation_id}\0{session_id}".encode("utf-8", "surrogatepass")).digest()
        return bool(self.questions) and int.from_bytes(digest[:8], "big") / 2**64 < self.sample


def live_judges(judges: Judges, sample: object) -> LiveJudges:
    """Return the declared judges.

    Raises DeveloperError for an unknown or reserved name, or a share that is not from 0 to 1.
    """
    if isinstance(sample, bool) or not isinstance(sample, int | float) or not 0 <= sample <= 1:
        raise DeveloperError(
            f"VoiceAgent judge_sample={sample!r}: expected a share of the calls from 0 to 1, such as 0.05."
        )
    given: object = judges
    texts: object = [*given, *given.values()] if isinstance(given, Mapping) else given
    listed = texts if isinstance(texts, Sequence) and not isinstance(texts, str) else [None]
    if not all(isinstance(text, str) and text.strip() for text in listed):
        raise DeveloperError(
            f"VoiceAgent judges={judges!r}: expected names and questions, such as ['task_completed', 'Was the total told?']."
        )
    try:
        named = dict(judges) if isinstance(judges, Mapping) else questions(judges)
    except ConfigurationError as error:
        raise DeveloperError(f"VoiceAgent judges={judges!r}: {error}") from error
    for name in RESERVED.keys() & named.keys():
        raise DeveloperError(
            f"VoiceAgent judges={judges!r}: the score {name!r} is {RESERVED[name]}. Give the judge another name."
        )
    return LiveJudges(named, float(sample))


def named_judge(name: str) -> Judge:
    """Return a judge that asks the model of this name. Raises ConfigurationError if the model cannot be used."""
    return model_judge(named_model(name, "--judge", offline=False))


async def enqueue_judging(voice: VoiceAgent[Any, Any], store: Store, end: SessionEnd) -> None:
    """Enqueue a job that judges an ended call, if the call is in the sample. A repeated end event adds no job."""
    if not end.conversation_id or not voice.judges.choose(end.conversation_id, end.session_id or ""):
        return
    job_id = f"{TASK}-judge-{voice.name}-{end.conversation_id}-{end.session_id}"
    payload: Json = {"task": JUDGE_CALL, "arguments": {"session_id": end.session_id}}
    await store.enqueue(Job(job_id, TASK, voice.name, payload, end.conversation_id, trace=spans.carrier()))


async def judge_call(voice: VoiceAgent[Any, Any], store: Store, job: Job, *, day_limit: float) -> None:
    """Ask the agent's judges about a call, and save their answers as scores of the call's last turn.

    Do nothing if there is no model but the offline script, or if the caller said nothing.

    If the judges have already cost `day_limit` dollars on this UTC day, no more questions are asked. Raises JudgeError
    if the model fails. The job is then retried, and skips the questions that were already answered.
    """
    if not writes(voice.judge_writer):
        return
    session_id = job.payload["arguments"]["session_id"]
    turns = await turns_of_session(store, job.conversation_id, session_id)
    if not any(turn.user_text for turn in turns):
        return
    last, judge = turns[-1], model_judge(voice.judge_writer)
    case = await _case(store, turns)
    # The job's id contains the id of the conversation, so use only its hash.
    call = hashlib.sha256(job.id.encode("utf-8", "surrogatepass")).hexdigest()
    for name, question in voice.judges.questions.items():
        if name in last.scores:
            continue
        if await daily_limit.used_up(store, day_limit, call=call):
            return
        verdict, cost = await _answer(store, judge, question, case)
        score: Json = {"value": SCORES[verdict.answer], "comment": verdict.reason, "cost": cost}
        score["judge"] = getattr(voice.judge_writer, "model_name", "")
        if name not in stock():
            score["question"] = question
        if not await _save(store, last, name, score):
            return  # The call was forgotten while the model judged.
        tell(voice.name, name, verdict)


async def _case(store: Store, turns: Sequence[TurnRecord]) -> str:
    """Return the text about the call that the judges read. Secrets in it are masked."""
    instructions = instructions_of([await _messages(store, turn) for turn in _first_of_each_stage(turns)])
    outcomes = [outcome["name"] for turn in turns for outcome in turn.outcomes]
    kept = await store.conversation(turns[0].conversation_id)
    own = own_fields(kept.state) | handed_fields(kept.state, {turn.agent for turn in turns})
    # Collect the secrets in fields such as a tool's `password`, so that they are masked in the whole transcript.
    calls = [{"args": call.args, "result": call.result} for turn in turns for call in turn.tools]
    with caller_secrets.only([kept.metadata, own, *(turn.metadata for turn in turns), *calls]):
        transcript = transcript_of([_without_secrets(turn) for turn in turns])[-LONGEST_CALL:]
        return written_case(masking.without_secrets(instructions), transcript, outcomes, _masked(own))


def _without_secrets(turn: TurnRecord) -> TurnRecord:
    """Return a copy of a turn without secrets.

    Call this before long texts are cut, because a secret that was cut in the middle would not be recognised.
    """
    tools = [replace(call, args=_masked(call.args), result=_masked(call.result)) for call in turn.tools]
    said, heard = masking.without_secrets(turn.user_text), masking.without_secrets(turn.heard)
    return replace(turn, user_text=said, heard_text=heard, tools=tools)


_masked = partial(masked, text=masking.without_secrets)


def _first_of_each_stage(turns: Sequence[TurnRecord]) -> list[TurnRecord]:
    """Return, for each stage of each agent, the first turn that ended in this stage.

    The judges read the instructions of these turns. Turns that answer no message are skipped, because they have no
    instructions.
    """
    first: dict[tuple[str, str], TurnRecord] = {}
    for turn in turns:
        if turn.user_text:
            first.setdefault((turn.agent, turn.at_stage), turn)
    return list(first.values())


async def _messages(store: Store, turn: TurnRecord) -> bytes:
    whole = await store.get(*turn.key)
    return b"" if whole is None else whole.messages


async def _answer(store: Store, judge: Judge, question: str, case: str) -> tuple[Verdict, float]:
    spent = Spent()
    try:
        with counting(spent):
            return await judge(WHOLE_CALL + question, case), spent.amount
    finally:
        # Unusable answers cost money too.
        await daily_limit.add(store, spent)


async def _save(store: Store, turn: TurnRecord, name: str, score: Json) -> bool:
    def change(record: TurnRecord) -> None:
        record.scores[name] = score

    return await store.update(turn.conversation_id, turn.turn_id, change) is not None


def tell(agent: str, name: str, verdict: Verdict) -> None:
    """Report a judge's answer as a span event (OpenTelemetry's `gen_ai.evaluation.result`), a metric and a log line."""
    value = SCORES[verdict.answer]
    attributes: dict[str, Any] = {
        "gen_ai.evaluation.name": name,
        "gen_ai.evaluation.score.label": verdict.answer,
        "gen_ai.evaluation.score.value": float(value) if isinstance(value, bool) else None,
        "gen_ai.evaluation.explanation": verdict.reason if masking.capture_content() else None,
    }
    spans.event("gen_ai.evaluation.result", {key: value for key, value in attributes.items() if value is not None})
    metrics.add(metrics.JUDGEMENTS, 1, agent, name, verdict.answer)
    logger.info("Call judged: {} {}", name, verdict.answer)

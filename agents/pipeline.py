"""Pipeline: works in stages (evaluate, plan, implement, verify) to improve a caller's pitch for a job."""

import re
from collections.abc import AsyncIterator
from typing import TypeVar

from pydantic import BaseModel, Field
from pydantic_ai import Agent, ModelRetry, RunContext, ToolOutput

from layercode_app import SPEAK_PLAINLY, Call, Scene, Turn, VoiceAgent, load_prompt

MAX_WORDS = 40
"""About fifteen seconds of speech."""
JOB = re.compile(r"\b(job|apply|applying|role|position|want to be)\b", re.IGNORECASE)
PITCH = re.compile(r"(?:\bmy )?pitch\b(?: is)?", re.IGNORECASE)
OutputT = TypeVar("OutputT")


class Evaluation(BaseModel):
    """How well the pitch fits the job."""

    gaps: list[str]
    score: int = Field(ge=0, le=10)


class Plan(BaseModel):
    """The changes to make, most important first."""

    steps: list[str]


class Pitch(BaseModel):
    """The improved pitch, to be said aloud."""

    text: str


class Verdict(BaseModel):
    """A verdict: is the improved pitch true to the caller, and does it fit the job?"""

    approved: bool
    reason: str


evaluator = Agent(name="evaluate", output_type=ToolOutput(Evaluation, name="evaluate"))
planner = Agent(name="plan", output_type=ToolOutput(Plan, name="plan"))
writer = Agent(name="implement", output_type=ToolOutput(Pitch, name="write"), retries=2)
verifier = Agent(name="verify", output_type=ToolOutput(Verdict, name="verify"))
coach = Agent(instructions=[load_prompt("pipeline"), SPEAK_PLAINLY], deps_type=Turn)
agent = VoiceAgent("pipeline", coach, greeting="Hi! Tell me the job, and your pitch for it.", speakable=True)


@writer.output_validator
async def short_enough(pitch: Pitch) -> Pitch:
    """Reject a pitch that is too long to be spoken. The model gets the reason and tries again."""
    words = len(pitch.text.split())
    if words > MAX_WORDS:
        raise ModelRetry(f"{words} words; at most {MAX_WORDS} can be said in one breath. Shorten it.")
    return pitch


@coach.tool
async def improve(ctx: RunContext[Turn], job: str, pitch: str) -> str:
    """Improve the pitch for the job. This takes a while, so tell the caller first."""
    facts = f"The job: {job}. The pitch: {pitch}."
    evaluation = await stage(ctx, evaluator, f"Rate this pitch for the job, and name its gaps. {facts}")
    plan = await stage(ctx, planner, f"Plan at most three changes that close these gaps: {evaluation.gaps}. {facts}")
    verdict = Verdict(approved=False, reason="This is the first draft.")
    for _ in range(2):
        better = await stage(ctx, writer, f"Rewrite it by this plan: {plan.steps}. {verdict.reason} {facts}")
        verdict = await stage(ctx, verifier, f"Is this true to the caller's own pitch? {better.text} {facts}")
        if verdict.approved:
            ctx.deps.outcome("pitch_improved", value=10 - evaluation.score)
            return better.text
    return f"No draft was good enough: {verdict.reason} Ask the caller for one more fact."


async def stage(ctx: RunContext[Turn], worker: Agent[None, OutputT], prompt: str) -> OutputT:
    """Run one stage with the coach's model. The stage's span and the journal show its time, tokens and cost."""
    with ctx.deps.span(f"stage {worker.name}"):
        result = await worker.run(prompt, model=ctx.deps.helper_model())
    used = result.usage
    ctx.deps.data({"stage": worker.name, "requests": used.requests, "tokens": used.total_tokens})
    return result.output


@agent.offline
async def script(scene: Scene) -> AsyncIterator[str | Call]:
    """Answer in place of the model, both for the coach and for the agent of each stage.

    The script recognises the agent by the tools that it offers.
    """
    if scene.offers("evaluate"):
        yield Call("evaluate", {"gaps": ["no result", "no link to the job"], "score": 5})
    elif scene.offers("plan"):
        yield Call("plan", {"steps": ["Lead with a result.", "Name the job."]})
    elif scene.offers("write"):
        short = "I cut our waiting times in half, and I would like to do the same for your team."
        yield Call("write", {"text": short if scene.retry else f"{short} " * 4})  # too long at first, to show a retry
    elif scene.offers("verify"):
        yield Call("verify", {"approved": True, "reason": "It claims nothing new."})
    elif "improve" in scene.results:
        yield f"Try this: {scene.results['improve']} How does that feel?"
    elif PITCH.search(scene.text) or (scene.turns > 1 and asks_for_pitch(scene.said[-2])):
        yield "Let me work on that for a moment. "
        job, pitch = PITCH.split(scene.text, 1) if PITCH.search(scene.text) else (scene.said[-2], scene.text)
        yield Call("improve", {"job": job.strip(" ,.") or "the same job", "pitch": pitch.strip(" :,.") or "as before"})
    elif asks_for_pitch(scene.text):
        yield "And what is your pitch for it?"
    else:
        yield "Tell me the job, and then give your pitch. Begin it with the words: my pitch is."


def asks_for_pitch(text: str) -> bool:
    """Return whether the caller has said which job they apply for, but has not given their pitch yet."""
    return JOB.search(text) is not None and not PITCH.search(text)

"""Phone intake: collects a name, a number and a time, confirms them, and hangs up at the end."""

from collections.abc import AsyncIterator

from pydantic_ai import Agent, ModelRetry, RunContext

from layercode_app import SPEAK_PLAINLY, Call, Scene, Turn, VoiceAgent, load_prompt
from layercode_app.collect import Collecting, Name, Phone

NAME = (
    r"(?:my name is|this is|it's|i'm|i am) (?!calling)(\w+(?: (?!here)\w+)?)"
    r"|^(?!(?:hi|hello|hey|good|what|how|can|thanks?|help)\b)(\w+(?: \w+)?)\W*$"
)

QUESTIONS = {"name": "May I have your name?", "number": "What number may we call?", "time": "When shall we call?"}
"""The question for each field of the form, in order."""


class Intake(Collecting):
    """What the caller has told so far."""

    name: str = ""
    number: str = ""
    time: str = ""

    @property
    def missing(self) -> list[str]:
        """The fields that are still empty, in order."""
        return [field for field in QUESTIONS if not getattr(self, field)]

    def next_question(self) -> str:
        """Return the question about the first missing field. If none is missing, ask whether everything is right."""
        if self.missing:
            return QUESTIONS[self.missing[0]]
        return f"So {self.name}, {self.answer('number').spoken}, {self.time}. Is that right?"


def next_question(turn: Turn[Intake]) -> str:
    """Return what a collector says after it has saved its value."""
    return turn.state.next_question()


name = Name("name", question=QUESTIONS["name"], reply="Thank you, {value}.", confirm=False, then=next_question)
number = Phone("number", question=QUESTIONS["number"], confirm=False, then=next_question)
intake = Agent(
    instructions=[load_prompt("phone_intake"), SPEAK_PLAINLY], deps_type=Turn[Intake], toolsets=[name, number]
)
agent = VoiceAgent(
    "phone_intake",
    intake,
    state=Intake,
    greeting="Hello, this is the call-back desk. May I have your name?",
    speakable=True,
)


@intake.instructions
def known(ctx: RunContext[Turn[Intake]]) -> str:
    """Tell the model which fields are known, so that it never asks twice."""
    form, caller = ctx.deps.state, ctx.deps.from_phone_number
    calling_from = f" The caller is calling from {caller}." if caller else ""
    return (
        f"Known so far: {form.model_dump_json(exclude={'collected'})}. Still to ask: {form.missing or 'only the confirmation'}."
        + calling_from
    )


@intake.tool
async def save_time(ctx: RunContext[Turn[Intake]], time: str) -> str:
    """Record when to call back, in the caller's words."""
    ctx.deps.state.time = time
    return ctx.deps.state.next_question()


@intake.tool
async def finish(ctx: RunContext[Turn[Intake]]) -> str:
    """End the call after the caller has confirmed everything."""
    form = ctx.deps.state
    if form.missing:
        raise ModelRetry(f"Not yet: {', '.join(form.missing)} missing.")
    ctx.deps.data({"intake": form.model_dump(exclude={"collected"})})
    ctx.deps.outcome("call_back_agreed")
    ctx.deps.hangup()
    return "The call ends after your next words. Say goodbye."


@agent.offline
async def script(scene: Scene) -> AsyncIterator[str | Call]:
    """Answer without a model."""
    if "finish" in scene.results:
        yield "Thank you, we will call you. Goodbye!"
    elif scene.results:
        yield str(list(scene.results.values())[-1])
    elif len(scene.digits) >= (7 if scene.when else 3):
        yield Call("save_number", {"heard": scene.text})
    elif scene.when and not scene.match(r"\bgood (morning|afternoon|evening)"):
        yield Call("save_time", {"time": scene.when})
    elif scene.match(r"\b(no|not|wrong)\b"):
        yield "Then let us start again. May I have your name?"
    elif scene.match(r"\b(yes|yeah|right|correct)\b"):
        yield "I am sorry, there is something missing." if scene.retry else Call("finish")
    elif name := scene.match(NAME):
        yield Call("save_name", {"heard": name[1] or name[2]})
    else:
        yield "I take your name, a number and a time, and we call you back. May I have your name?"

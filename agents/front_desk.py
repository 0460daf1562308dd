"""Front desk: books a dental appointment, one stage after the other, and asks before it books."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator

from pydantic_ai import Agent, RunContext

from layercode_app import Call, Scene, Speakable, Stage, ToolPolicy, Turn, VoiceAgent, load_prompt, no_card_numbers
from layercode_app.collect import Choice, Collecting, Date, Name, Time

now = dt.datetime.now  # the time at the practice, from which "tomorrow" counts
TIMES = [dt.time(9), dt.time(11, 30), dt.time(15)]  # free on each weekday; a real practice asks its calendar
REASONS = {"a check-up": ["check up", "exam"], "a cleaning": ["clean", "hygienist"], "a toothache": ["pain", "hurts"]}
WHAT_FOR = "What is it for: a check-up, a cleaning, or a toothache?"


class Visit(Collecting):
    """What is known about the appointment. Each collector sets the field that has its name."""

    name: str = ""
    reason: str = ""
    day: dt.date | None = None
    time: dt.time | None = None
    free: tuple[tuple[dt.date, dt.time], ...] = ()
    booked: bool = False

    @property
    def appointment(self) -> str:
        """The appointment in words."""
        return f"{self.name} on {self.answer('day').spoken}, at {self.answer('time').spoken}, for {self.reason}"


def stage_of(turn: Turn[Visit]) -> str:
    """Return the stage of the call: the first field of VALUES that is empty.

    If none is empty, the stage is "time" until a free time is chosen, then "booking", and "goodbye" after the booking.
    """
    visit = turn.state
    missing = next((one.field for one in VALUES if not getattr(visit, one.field)), "")
    return missing or ("goodbye" if visit.booked else "booking" if (visit.day, visit.time) in visit.free else "time")


def next_question(turn: Turn[Visit]) -> str:
    """Go to the stage of the first value that is missing. Return what to say next, or "" if the stage has no question."""
    visit, stage = turn.state, stage_of(turn)
    turn.go_to(stage)  # also while the caller is asked about a booking: another day must be looked up first
    if stage == "time" and (times := [f"{at:%I:%M %p}" for day, at in visit.free if day == visit.day]):
        refused = "That is not free, I am afraid. " if visit.time else ""
        return f"{refused}On {visit.answer('day').spoken}, I have {', or '.join(times)}. Which one would you like?"
    return next((one.question for one in VALUES if one.field == stage), "")


name = Name("name", question="May I have your name?", reply="Thank you, {value}.", confirm=False, then=next_question)
reason = Choice("reason", REASONS, question=WHAT_FOR, reply="Right, {value}.", confirm=False, then=next_question)
day = Date("day", question="Which day would suit you?", clock=now, reply="{value}.", confirm=False, then=next_question)
time = Time("time", clock=now, reply="You said {value}.", confirm=False, then=next_question)
VALUES = (name, reason, day)


async def find_times(ctx: RunContext[Turn[Visit]]) -> str:
    """Look up the free times on the day that the caller wants."""
    visit, wanted = ctx.deps.state, ctx.deps.state.day or now().date()
    await asyncio.sleep(2)
    slots = [dt.datetime.combine(wanted, at) for at in TIMES if wanted.weekday() < 5]
    visit.free = tuple((wanted, slot.time()) for slot in slots if slot > now())
    if visit.free:
        return next_question(ctx.deps) or "The time is free on that day too."
    visit.day = None
    return f"Nothing is free on that day. {next_question(ctx.deps)}"


async def book_appointment(ctx: RunContext[Turn[Visit]]) -> str:
    """Book the appointment, and end the call."""
    turn, visit = ctx.deps, ctx.deps.state
    booked = visit.model_dump(mode="json", include={"name", "reason", "day", "time"})
    turn.data({"booked": booked | {"number": turn.from_phone_number}})
    turn.outcome("booked")
    visit.booked = True
    turn.hangup()
    return f"Booked: {visit.appointment}. Thank you for calling, goodbye!"


agent = VoiceAgent(
    "front_desk",
    Agent(instructions=load_prompt("front_desk"), deps_type=Turn[Visit]),
    state=Visit,
    greeting=lambda turn: f"Hello, this is Harbour Dental. {next_question(turn)}",
    stages=[
        *(Stage(value.field, tools=[value], then=stage_of) for value in VALUES),
        Stage("time", "Call find_times, and agree on one of the times.", [find_times, day, time], stage_of),
        Stage("booking", "Book it, or save what the caller corrects.", [book_appointment, *VALUES, time], stage_of),
        Stage("goodbye", "The appointment is booked. Say goodbye."),
    ],
    confirm={"book_appointment": "So, {appointment}. Shall I book it?"},
    tools={"find_times": ToolPolicy(filler="Let me look in the diary."), "book_appointment": "finish_and_tell"},
    backchannels=True,
    guard=no_card_numbers,
    speakable=Speakable(numbers=True),
)


@agent.offline
async def script(scene: Scene) -> AsyncIterator[str | Call]:
    """Answer without a model. The available tools show which stage it is. If a tool returns a question, ask it."""
    result = str(scene.answered[-1].result) if scene.answered else ""
    if "book_appointment" in scene.results:
        yield result if "Booked" in result else "Then I have not booked it. Which day or time would suit you better?"
    elif result:
        following = [tool for tool in ("find_times", "book_appointment") if scene.offers(tool)]
        yield Call(following[0]) if following and not result.endswith("?") else result
    elif not scene.info.function_tools:
        yield "You are booked. Goodbye!"
    elif scene.offers("book_appointment") and not (scene.when or scene.numbers):
        yield Call("book_appointment") if scene.match(r"\b(yes|yeah|right|okay|sure)\b") else "Pardon?"
    elif scene.offers("save_time"):
        yield Call("save_day" if scene.match(r"\w+day\b|tomorrow") else "save_time", {"heard": scene.text})
    elif scene.offers("save_name") and scene.match(r"^(hi|hello|hey|good \w+)?\W*$|\b(an?|to|you|help|what|tooth)\b"):
        yield "I can book you an appointment. May I have your name?"
    else:
        yield Call(next(tool for value in VALUES if scene.offers(tool := f"save_{value.field}")), {"heard": scene.text})

"""What a ServerProcess serves: `python -m tests.served PORT`, with its settings from the environment.

"talker" speaks on demand; "payer" has a tool that writes what it did to the file `$PAYMENTS`; "asker" asks before it calls
that tool; "reader" reads a text, and continues after a listening sound; "intake" collects an e-mail address; "front" hands calls to "billing";
"keeper" sums up long calls; "knower" keeps notes of a caller; "clerk" has stages and slow work (served_stages.py).
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from layercode_app import Call, LayerCode, Scene, Summary, Turn, VoiceAgent
from layercode_app.agent.offline import offline_model
from layercode_app.collect import Collecting, Email
from layercode_app.settings import load_settings

from .served_stages import clerk

talker = VoiceAgent("talker", history=True)


@talker.on_message
async def talk(turn: Turn) -> Any:
    """Answer `say N` with N words, 50 ms apart, and `wait` with "I waited." after 1.5 s.

    Answer any other message with all messages of the caller so far.
    """
    if turn.text == "wait":
        with Path(os.environ["STARTS"]).open("a") as file:
            file.write(f"{turn.turn_id}\n")
        await asyncio.sleep(1.5)
        yield "I waited."
        return
    if turn.text.startswith("say "):
        for number in range(int(turn.text.removeprefix("say "))):
            yield f"{number} "
            await asyncio.sleep(0.05)
    else:
        yield " ".join([*(past.user_text for past in turn.past), turn.text])


async def pay_and_talk(messages: list[ModelMessage], info: AgentInfo) -> Any:
    if any(isinstance(part, ToolReturnPart) for part in messages[-1].parts):
        for number in range(40):
            yield f"{number} "
            await asyncio.sleep(0.05)
        return
    yield "One moment. "
    # Start the tool after a random time, so that a kill of the server finds turns before, during and after the tool.
    await asyncio.sleep(random.random() * 2)
    yield {1: DeltaToolCall(name="pay", json_args="{}", tool_call_id=f"call-{len(messages)}")}


payer = Agent(FunctionModel(stream_function=pay_and_talk), deps_type=Turn)


@payer.tool
async def pay(ctx: RunContext[Turn]) -> str:
    with Path(os.environ["PAYMENTS"]).open("a") as file:
        file.write(f"{ctx.deps.conversation_id}\n")
    await asyncio.sleep(0.3)
    return "paid"


TEXT = "The tower was built in 1890. It is ninety metres high. It is open every day."
reader = VoiceAgent("reader", backchannels=True)


@reader.on_message
async def read(turn: Turn) -> str:
    return TEXT


async def pay_when_asked(messages: list[ModelMessage], info: AgentInfo) -> Any:
    last = messages[-1].parts[-1]
    if isinstance(last, ToolReturnPart):
        yield f"It was {last.content}."
    elif getattr(last, "content", "") == "order":
        yield {1: DeltaToolCall(name="pay", json_args="{}", tool_call_id=f"call-{len(messages)}")}
    else:
        yield "Fine."


asking = Agent(FunctionModel(stream_function=pay_when_asked), deps_type=Turn)
asking.tool(pay)
asker = VoiceAgent("asker", asking, confirm={"pay": "Shall I pay?"})


class Intake(Collecting):
    """What the intake agent knows."""

    email: str = ""


async def take_down(scene: Scene) -> AsyncIterator[str | Call]:
    """Say the result of the collector's tool. "Yes" confirms the address; any other words are saved as a part of it."""
    if scene.answered:
        yield str(scene.answered[-1].result)
    elif scene.says("yes"):
        yield Call("confirm_email")
    else:
        yield Call("save_email", {"heard": scene.text})


# The agent speaks slowly, so that a test can interrupt it or kill its server between two words.
collecting = Agent(offline_model(take_down, pace=0.1), deps_type=Turn[Intake], toolsets=[Email("email")])
intake = VoiceAgent("intake", collecting, state=Intake, apology="Sorry.")


async def hand_over(scene: Scene) -> AsyncIterator[str | Call]:
    """Hand the caller to billing if the message contains "invoice".

    If it also contains "slowly", the tool takes 30 s, so that a test can kill the server while the tool runs.
    """
    if scene.says("invoice"):
        yield "One moment. "
        yield Call("to_billing", {"seconds": 30 if scene.says("slowly") else 0})
    else:
        yield "The front desk."


desk = Agent(offline_model(hand_over), deps_type=Turn)
front = VoiceAgent("front", desk, apology="Sorry.", tool_apology="Sorry.")


@desk.tool
async def to_billing(ctx: RunContext[Turn], seconds: float) -> str:
    ctx.deps.hand_to("billing", say="I'll get billing. ", now=True)
    with Path(os.environ["STARTS"]).open("a") as file:
        file.write(f"{ctx.deps.turn_id}\n")
    await asyncio.sleep(seconds)
    return "handed over"


async def bill(scene: Scene) -> AsyncIterator[str]:
    yield "This is billing, and I have your last invoice here."


billing = VoiceAgent("billing", Agent(offline_model(bill, pace=0.1), deps_type=Turn), tool_apology="Sorry, billing.")


async def tell_number(messages: list[ModelMessage], info: AgentInfo) -> Any:
    yield "Your number is 4711." if re.search(r"\b4711\b", str(messages)) else "I do not know your number."


async def sum_up(before: Summary | None, transcript: str) -> Summary:
    with Path(os.environ["STARTS"]).open("a") as file:
        file.write("summary\n")
    await asyncio.sleep(1)
    known = before.facts if before else ()
    return Summary("They chatted.", [*known, *(["4711"] if "4711" in transcript else [])])


keeper = VoiceAgent("keeper", Agent(FunctionModel(stream_function=tell_number)), summary=sum_up)


async def know(messages: list[ModelMessage], info: AgentInfo) -> Any:
    """If the caller says "I like rye", call a tool that keeps this as a note, and then answer slowly.

    To anything else, answer with the number of times that the request to the model contains the note. In a later phone
    call of the same caller, the request contains the note because the toolkit adds the caller's notes to the request.
    """
    last = messages[-1].parts[-1]
    if isinstance(last, ToolReturnPart):
        for word in ("I ", "will ", "remember ", "that."):
            await asyncio.sleep(0.1)
            yield word
    elif "I like rye" in str(getattr(last, "content", "")):
        yield {0: DeltaToolCall(name="keep", json_args='{"fact": "likes rye"}', tool_call_id="call-1")}
    else:
        yield f"I know that {str(messages).count('likes rye')} times."


knowing = Agent(FunctionModel(stream_function=know), deps_type=Turn)
knower = VoiceAgent(
    "knower", knowing, tool_apology="Sorry, I lost that.", remember=lambda turn: str(turn.metadata.get("user", ""))
)


@knowing.tool
async def keep(ctx: RunContext[Turn], fact: str) -> str:
    ctx.deps.notes.add(fact)
    ctx.deps.background(thank, fact=fact)
    return "kept"


@knower.task
async def thank(fact: str) -> None:
    with Path(os.environ["STARTS"]).open("a") as file:
        file.write(f"thanks {fact}\n")


def main() -> None:
    settings = load_settings({"log_dir": ""}, env_file=None, toml_file=None)
    app = LayerCode(
        talker,
        VoiceAgent("payer", payer),
        asker,
        reader,
        intake,
        front,
        billing,
        keeper,
        knower,
        clerk,
        settings=settings,
    )
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_config=None, timeout_graceful_shutdown=2)


if __name__ == "__main__":
    main()

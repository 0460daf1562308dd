"""A forked call keeps its history as heard and its recorded tool results, and shows old and new replies together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage, ModelRequest, TextPart, ToolReturnPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic_ai.toolsets import FunctionToolset

from layercode_app import SPEAK_PLAINLY, Call, LayerCode, Stage, Turn, VoiceAgent, find_agent
from layercode_app.agent.instructions import prompt_of, with_prompt
from layercode_app.cli.fork.view import show
from layercode_app.exceptions import ForkError
from layercode_app.journal.read import turns_of
from layercode_app.journal.record import TurnRecord
from layercode_app.replay.compare import diff
from layercode_app.replay.fork import Changes, fork
from layercode_app.replay.recorded_tools import result_types
from layercode_app.replay.rehearsal import Rehearsal
from layercode_app.testing import open_call, scripted

from ..calling import Caller, calling, settings

pytestmark = pytest.mark.anyio


class Orders(BaseModel):
    placed: int = 0


async def shop_model(messages: list[ModelMessage], info: AgentInfo) -> Any:
    """Call the tool `order` with the last word of the caller's message.

    Then say the tool's result and the agent's instructions.
    """
    last = messages[-1]
    results = [part for part in last.parts if isinstance(part, ToolReturnPart)]
    if results:
        yield f"{results[0].content}. {info.instructions}"
    else:
        said = last.parts[-1]
        assert isinstance(said, UserPromptPart)
        words = str(said.content).split()
        yield {0: DeltaToolCall(name="order", json_args=f'{{"item": "{words[-1]}"}}', tool_call_id=f"c{len(messages)}")}


class Shop:
    """An agent that places orders, and a list of the orders that its tool really placed."""

    def __init__(self) -> None:
        self.placed: list[str] = []
        agent = Agent(FunctionModel(stream_function=shop_model), instructions="Bye", deps_type=Turn[Orders])

        @agent.tool
        async def order(ctx: RunContext[Turn[Orders]], item: str) -> str:
            self.placed.append(item)
            ctx.deps.state.placed += 1
            return f"Order {len(self.placed)}: {item}"

        self.voice = VoiceAgent("shop", agent, state=Orders, greeting="Hello!")


async def recorded(caller: Caller, app: LayerCode) -> list[TurnRecord]:
    return await turns_of(app.store, caller.conversation_id, bodies=True)


async def test_a_fork_answers_from_the_recordings_and_leaves_the_call_as_it_was(tmp_path: Path) -> None:
    shop = Shop()
    app = LayerCode(shop.voice, settings=settings(tmp_path))
    async with calling(app) as caller:
        await caller.send({"type": "session.start", "turn_id": "g"})
        await caller.say("a cake", turn_id="t1")
        await caller.say("a tart", turn_id="t2")
        turns = await recorded(caller, app)
        forked = await fork(turns, shop.voice, at=3, changes=Changes(prompt="So long"))
        after = await recorded(caller, app)

    result = forked.to_json()
    pair = result["turns"][0]
    assert shop.placed == ["cake", "tart"]
    assert (pair["old"]["text"], pair["new"]["text"]) == ("Order 2: tart. Bye", "Order 2: tart. So long")
    assert [tool["answered_by"] for tool in pair["new"]["tools"]] == ["recording"]
    assert pair["old"]["version"] != pair["new"]["version"]
    assert {"kind": "removed", "text": "Bye"} in pair["diff"]
    assert [turn.turn_id for turn in after] == [turn.turn_id for turn in turns]


class Receipt(BaseModel):
    number: int


def till(charged: list[int]) -> VoiceAgent[Any, Any]:
    """Return an agent whose model goes on to the second stage, and charges there."""

    async def charge() -> Receipt:
        charged.append(1)
        return Receipt(number=len(charged))

    more: FunctionToolset[Any] = FunctionToolset()
    stages = [Stage("order", then="payment"), Stage("payment", tools=[charge, more])]
    return VoiceAgent("till", Agent(scripted(Call("next_stage"), Call("charge"), "Paid.")), stages=stages)


async def test_a_fork_goes_on_to_the_next_stage_and_finds_its_tools() -> None:
    charged: list[int] = []
    async with open_call(till(charged)) as call:
        await call.say("pay")
        turns = await turns_of(call.app.store, call.conversation_id, bodies=True)
    again = till(charged)
    (pair,) = (await fork(turns, again, at=1)).pairs
    assert (pair.new.error, pair.new.spoken_text, pair.new.at_stage) == (None, "Paid.", "payment")
    assert [call.result for call in pair.new.tools][1] == {"number": 1}
    assert charged == [1]
    assert result_types(again) == {"charge": Receipt}


async def test_other_words_without_a_recording_do_not_run_the_tool_unless_allowed(tmp_path: Path) -> None:
    shop = Shop()
    app = LayerCode(shop.voice, settings=settings(tmp_path))
    async with calling(app) as caller:
        await caller.say("a cake", turn_id="t1")
        turns = await recorded(caller, app)
        dry = await fork(turns, shop.voice, at="t1", changes=Changes(say=["a pie"]))
        assert shop.placed == ["cake"]
        real = await fork(turns, shop.voice, at="t1", changes=Changes(say=["a pie"], run_tools=True))

    assert "order was not run" in dry.pairs[0].new.spoken_text
    assert dry.to_json()["turns"][0]["new"]["tools"][0]["answered_by"] == "nothing"
    assert shop.placed == ["cake", "pie"]
    assert real.pairs[0].new.spoken_text == "Order 2: pie. Bye"
    assert real.pairs[0].new.state == {"placed": 1}


async def test_a_fork_sees_the_history_as_it_was_heard_and_goes_on_with_the_rest(tmp_path: Path) -> None:
    heard: list[list[str]] = []

    async def model(messages: list[ModelMessage], info: AgentInfo) -> Any:
        heard.append([part.content for m in messages for part in m.parts if isinstance(part, TextPart)])
        yield "one two three four"

    voice = VoiceAgent("counter", Agent(FunctionModel(stream_function=model)))
    app = LayerCode(voice, settings=settings(tmp_path))
    context = {"previous_turn_interrupted": True, "text_heard": "one two", "assistant_turn_id": "t1"}
    async with calling(app) as caller:
        await caller.say("count", turn_id="t1")
        await caller.say("again", turn_id="t2", interruption_context=context)
        await caller.say("once more", turn_id="t3")
        turns = await recorded(caller, app)
        heard.clear()
        forked = await fork(turns, voice, at=2, changes=Changes(say=["slowly"], rest=True))

    assert heard == [["one two"], ["one two", "one two three four"]]
    assert [pair.new.user_text for pair in forked.pairs] == ["slowly", "once more"]
    assert [pair.old and pair.old.turn_id for pair in forked.pairs] == ["t2", "t3"]


async def test_another_model_answers_only_in_the_fork(tmp_path: Path) -> None:
    async def model(messages: list[ModelMessage], info: AgentInfo) -> Any:
        assert isinstance(messages[-1], ModelRequest)
        assert isinstance(messages[-1].parts[-1], UserPromptPart)
        yield "mine"

    voice = VoiceAgent("plain", Agent(FunctionModel(stream_function=model, model_name="mine")))
    app = LayerCode(voice, settings=settings(tmp_path))
    async with calling(app) as caller:
        await caller.say("hello", turn_id="t1")
        forked = await fork(await recorded(caller, app), voice, at=1, changes=Changes(model="offline"))
        again = await caller.say("hello")

    (pair,) = forked.pairs
    assert pair.old is not None
    assert (pair.old.model, pair.new.model) == ("mine", "offline")
    assert again.spoken == "mine"


class Price(BaseModel):
    euros: float


async def test_a_recorded_result_has_the_type_that_the_tool_returns(tmp_path: Path) -> None:
    async def model(messages: list[ModelMessage], info: AgentInfo) -> Any:
        prices = [part.content for part in messages[-1].parts if isinstance(part, ToolReturnPart)]
        if prices:
            yield f"{type(prices[0]).__name__} {prices[0].euros}"  # type: ignore[union-attr]
        else:
            yield {0: DeltaToolCall(name="price", json_args="{}", tool_call_id="c1")}

    agent = Agent(FunctionModel(stream_function=model))

    @agent.tool_plain
    def price() -> Price:
        return Price(euros=2.5)

    app = LayerCode(VoiceAgent("prices", agent), settings=settings(tmp_path))
    async with calling(app) as caller:
        first = await caller.say("how much?", turn_id="t1")
        forked = await fork(await recorded(caller, app), app.agents["prices"], at=1)

    assert first.spoken == forked.pairs[0].new.spoken_text == "Price 2.5"


async def test_what_cannot_be_forked_is_refused_with_the_mend(tmp_path: Path) -> None:
    voice = VoiceAgent("greeter", greeting="Hello!")
    app = LayerCode(voice, settings=settings(tmp_path))
    async with calling(app) as caller:
        await caller.send({"type": "session.start", "turn_id": "g"})
        turns = await recorded(caller, app)
        with pytest.raises(ForkError, match="not in the journal"):
            await turns_of(app.store, "nowhere")
    with pytest.raises(ForkError, match="from 1 to 1"):
        await fork(turns, voice, at=2)
    with pytest.raises(ForkError, match="greeting"):
        await fork(turns, voice, at=1, changes=Changes(say=["hello"]))
    with pytest.raises(ForkError, match="without a model"):
        await fork(turns, voice, at=1, changes=Changes(prompt="Be brief."))


def test_the_difference_of_two_texts_adds_up_to_both() -> None:
    runs = diff("Two croissants, please.", "Three croissants and a tea, please.")
    assert "".join(run["text"] for run in runs if run["kind"] != "added") == "Two croissants, please."
    assert "".join(run["text"] for run in runs if run["kind"] != "removed") == "Three croissants and a tea, please."


def instructions_in(turn: TurnRecord) -> list[str]:
    return [message["instructions"] for message in json.loads(turn.messages) if message["kind"] == "request"]


async def test_another_prompt_leaves_everything_else_that_the_agent_is_told() -> None:
    agent = find_agent("phone_intake", Path("agents"))
    prompt = prompt_of(agent.agent)
    assert prompt == Path("agents/prompts/phone_intake.md").read_text().strip()
    async with open_call(agent) as call:
        await call.say("Ada Lovelace")
        await call.say("My number is 4155550199")
        turns = await call.records()
    forked = await fork(turns, agent, at=2, changes=Changes(prompt="Be brief.", run_tools=True))
    old, new = instructions_in(turns[1]), instructions_in(forked.pairs[0].new)
    assert new == [told.replace(prompt, "Be brief.") for told in old]
    assert new[0].startswith(f"Be brief.\n\n{SPEAK_PLAINLY.strip()}\n\nKnown so far: {{")
    assert '"name":"Ada Lovelace"' in new[0]


def test_the_prompt_is_what_was_loaded_or_else_what_was_written() -> None:
    written = Agent(instructions=["Sell cakes.", SPEAK_PLAINLY, "Be kind."])
    assert prompt_of(written) == "Sell cakes.\n\nBe kind."
    assert with_prompt(written, "Sell tarts.") == ["Sell tarts.", SPEAK_PLAINLY]

    @(computed := Agent()).instructions
    def told() -> str:
        return "It is nine."

    assert prompt_of(computed) == ""
    assert with_prompt(computed, "Sell tarts.") == ["Sell tarts.", told]


async def test_an_empty_prompt_is_refused() -> None:
    agent = find_agent("phone_intake", Path("agents"))
    with pytest.raises(ForkError, match="The prompt is empty"):
        Rehearsal(agent, prompt=" \n")


def test_another_prompt_is_another_version() -> None:
    versions = [
        VoiceAgent("shop", agent).fingerprint
        for agent in (Agent(), Agent(instructions="one"), Agent(instructions="two"), Agent(system_prompt="three"))
    ]
    assert len(set(versions)) == 4


def test_the_names_of_the_lines_are_whole_on_a_narrow_console(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    side = {
        "user_text": "Hello",
        "ttfs_ms": 20.0,
        "model": "offline",
        "cost": 0.0,
        "input_tokens": 1,
        "output_tokens": 1,
    }
    pair = {"old": side, "new": side | {"tools": []}, "diff": [{"kind": "same", "text": "word " * 60}]}
    show({"agent": "a", "conversation_id": "c", "number": 2, "turns": [pair], "totals": {"old": side, "new": side}})
    shown = capsys.readouterr().out
    assert "caller" in shown
    assert "first speech" in shown

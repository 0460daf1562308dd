"""Agents that were broken on purpose fail a simulated call for the right reason, whatever the seed; a healthy one passes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import UserPromptPart

from layercode_app import Call, Scene, Turn, VoiceAgent
from layercode_app.testing.evals.run_scenarios import Played, evaluate
from layercode_app.testing.evals.scenario import ScenarioFile

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SEEDS = range(10)
SCENARIO = {
    "name": "a correction",
    "caller": {
        "goal": "order two croissants, then make it three",
        "script": [
            {"when": "what can i get you", "say": "Two croissants, please"},
            {"when": "anything else", "say": "What is in the sourdough?"},
            {"when": "flour", "say": "Then make it three croissants"},
            {"when": "anything else", "say": "No, that's all"},
            {"when": "shall i place", "say": "Yes, please"},
        ],
        "behaviour": {"interrupts": 0.3, "hesitates": 0.3, "silent": 0.1},
    },
    "end": {
        "state": {"items": {"croissant": 3}},
        "outcomes": ["ordered"],
        "tools": ["place_order"],
        "data": [{"asked": 7.2}],
        "said": ["flour"],
        "grounded": True,
        "within_turns": 8,
    },
}


class Basket(BaseModel):
    """What was ordered."""

    items: dict[str, int] = {}


def counter(flaw: str = "") -> VoiceAgent[Any, Any]:
    """Return the agent of a bakery's counter, broken by this flaw; without a flaw it is healthy."""
    shop = Agent(deps_type=Turn[Basket])
    agent = VoiceAgent("counter", shop, state=Basket, greeting="Hello, what can I get you?")
    add_tools(shop, flaw)

    @agent.offline
    async def script(scene: Scene) -> AsyncIterator[str | Call]:
        if flaw == "endless small talk" and scene.turns:
            yield f"Lovely weather. I could talk all day about {scene.text}, could you?"
        elif flaw == "forgets after an interruption" and was_interrupted(scene) and not scene.answered:
            yield Call("forget")
        else:
            for piece in told(scene, flaw) if scene.results.keys() - {"forget"} else asked(scene, flaw):
                yield piece

    return agent


def add_tools(shop: Agent[Turn[Basket], str], flaw: str) -> None:
    @shop.tool
    async def set_item(ctx: RunContext[Turn[Basket]], item: str, quantity: int) -> str:
        if flaw != "ignores a correction" or not ctx.deps.state.items:
            ctx.deps.state.items[item] = quantity
        if flaw == "hangs up early":
            ctx.deps.hangup()
        return f"{quantity} {item}s, noted"

    @shop.tool
    async def forget(ctx: RunContext[Turn[Basket]]) -> str:
        ctx.deps.state.items = {}
        return "forgotten"

    @shop.tool
    async def total(ctx: RunContext[Turn[Basket]]) -> str:
        amount = round(2.4 * ctx.deps.state.items.get("croissant", 0), 2)
        ctx.deps.data({"asked": amount})
        return f"{amount:.2f} euros"

    @shop.tool
    async def place_order(ctx: RunContext[Turn[Basket]]) -> str:
        ctx.deps.outcome("ordered")
        return "placed"


def told(scene: Scene, flaw: str) -> Iterator[str | Call]:
    """Yield the text or the tool call with which the agent reacts to the results of its tools."""
    if flaw == "orders twice" and [call.name for call in scene.answered] == ["place_order"]:
        yield Call("place_order")
    elif "place_order" in scene.results:
        yield "Thank you, it is on its way."
    elif "total" in scene.results:
        said = "9.99 euros" if flaw == "invents a price" else scene.results["total"]
        yield f"That is {said}. Shall I place the order?"
    else:
        yield f"{scene.results['set_item']}. Anything else?"


def asked(scene: Scene, flaw: str) -> Iterator[str | Call]:
    """Yield the text or the tool call with which the agent reacts to the caller's words."""
    if scene.says("sourdough"):
        other = flaw == "answers another question"
        yield "We close at noon. Anything else?" if other else "Flour, water and salt. Anything else for you?"
    elif scene.says("croissant"):
        yield Call("set_item", {"item": "croissant", "quantity": scene.quantity("croissant")})
    elif scene.says("yes"):
        yield Call("place_order")
    elif scene.match(r"\ball\b"):
        yield Call("place_order" if flaw == "never confirms" else "total")
    else:
        yield "What can I get you?"


def was_interrupted(scene: Scene) -> bool:
    notes = [part.content for part in scene.messages[-1].parts if isinstance(part, UserPromptPart)]
    return any(str(note).startswith("[") and "heard" in str(note) for note in notes)


async def calls(agent: VoiceAgent[Any, Any], **behaviour: float) -> list[Played]:
    caller = SCENARIO["caller"] | ({"behaviour": behaviour} if behaviour else {})  # type: ignore[operator]
    file = ScenarioFile.model_validate({"agent": "counter", "scenarios": [SCENARIO | {"caller": caller}]})
    return [one for seed in SEEDS for one in await evaluate(file, agent=agent, seed=seed)]


async def test_a_healthy_agent_passes_with_every_seed() -> None:
    played = await calls(counter())
    assert [one.reasons for one in played] == [[]] * 10
    assert sum(one.interruptions for one in played) > 5


@pytest.mark.parametrize(
    ("flaw", "reason"),
    [
        ("forgets after an interruption", "the state ends with items"),
        ("orders twice", "the outcome 'ordered' happened 2 times, expected 1; in turns"),
        ("invents a price", "'9.99' was spoken, but no tool, prompt or caller named it"),
        ("never confirms", "expected {'asked': 7.2} in the data for the browser, got []"),
        ("hangs up early", "the agent hung up in turn"),
        ("answers another question", "the caller never heard 'flour'"),
        ("ignores a correction", "the state ends with items.croissant = 2, expected 3"),
        ("endless small talk", "the outcome 'ordered' never happened"),
    ],
)
async def test_a_broken_agent_fails_for_the_right_reason(flaw: str, reason: str) -> None:
    lively = {"interrupts": 1.0} if "interruption" in flaw else {}
    played = await calls(counter(flaw), **lively)
    found = [one for one in played if any(reason in told for told in one.reasons)]
    assert len(found) >= 9, [one.reasons for one in played]

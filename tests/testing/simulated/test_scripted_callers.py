"""Callers with a script: they hear, wait, break in and hang up, and are graded on what was done."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from layercode_app import Call, Scene, VoiceAgent, find_agent
from layercode_app.exceptions import ConfigurationError
from layercode_app.testing.evals.run_scenarios import Played, evaluate
from layercode_app.testing.evals.scenario import ScenarioFile, load
from layercode_app.testing.evals.simulated.mind import Hearing
from layercode_app.testing.evals.simulated.patterns import heard_in

from ...processes import ROOT

pytestmark = pytest.mark.anyio

AGENTS = ROOT / "agents"
CHANGE_OF_MIND = """
agent: bakery
scenarios:
  - name: change of mind
    caller:
      persona: in a hurry
      goal: order two croissants, then one more, and place the order
      script:
        - {when: what can I get you, say: "Two croissants, please"}
        - {when: 'anything\\s+else', say: "Make that one more croissant"}
        - {when: anything else, say: "That's all"}
      max_turns: 6
    end:
      outcomes: [ordered]
      state: {items: {}}
      tools: [{name: place_order, times: 1}, {name: add_item, args: {item: croissant, quantity: 2}}]
      absent_tools: [book_table]
      data: [{ordered: 7.2}]
      said: [twenty minutes]
      unsaid: [sorry]
      grounded: true
      max_cost: 0.0
      within_turns: 3
"""


def simulated(agent: str = "bakery", end: dict[str, Any] | None = None, **caller: Any) -> ScenarioFile:
    scenario = {"name": "s", "caller": caller, **({"end": end} if end else {})}
    return ScenarioFile.model_validate({"agent": agent, "scenarios": [scenario]})


async def played(file: ScenarioFile, agent: Any = None, **options: Any) -> Played:
    [one] = await evaluate(file, agents=AGENTS, agent=agent, **options)
    return one


async def test_a_caller_says_each_line_once_it_was_asked_and_what_was_done_passes() -> None:
    one = await played(ScenarioFile.model_validate(yaml.safe_load(CHANGE_OF_MIND)))
    assert one.reasons == []
    assert (one.turns, one.hung_up, one.cost, one.interruptions) == (3, "caller", 0.0, 0)
    assert [turn["said"] for turn in one.behaviours] == [
        "Two croissants, please",
        "Make that one more croissant",
        "That's all",
    ]


async def test_each_difference_names_the_turn_where_it_happened() -> None:
    end = {
        "state": {"items": {"croissant": 3}, "booking": None},
        "outcomes": ["booked"],
        "tools": ["place_order", {"name": "add_item", "args": {"quantity": 3}}, {"name": "add_item", "times": 2}],
        "absent_tools": ["menu"],
        "data": [{"ordered": 1}],
        "said": ["goodbye"],
        "unsaid": ["croissants"],
        "within_turns": 1,
    }
    one = await played(simulated(end=end, script=[{"say": "Two croissants"}, {"say": "What is on the menu?"}]))
    state, outcome, order, three, times, menu, data, goodbye, croissants, turns = one.failures
    assert state == ("the state ends with items.croissant = 2, expected 3; last changed in turn 2 ('Two croissants')")
    assert outcome == "the outcome 'booked' never happened; the outcomes were: none"
    assert order == "place_order() never succeeded; it was not called"
    assert three.startswith(
        "add_item(quantity=3) never succeeded; instead turn 2: add_item(item='croissant', quantity=2)"
    )
    assert times == "add_item() succeeded 1 times, expected 2; in turn 2"
    assert menu == "turn 3: menu() was called, expected no call of menu"
    assert data.startswith("expected {'ordered': 1} in the data for the browser, got [{'basket'")
    assert goodbye.startswith("the caller never heard 'goodbye'; turn 3 ('What is on the menu?') ended with ")
    assert croissants.startswith("turn 2 ('Two croissants'): expected not to hear 'croissants', heard ")
    assert turns == (
        "the caller needed 2 messages, expected at most 1; turn 3 ('What is on the menu?') was one too many"
    )


async def test_a_caller_who_waits_in_vain_hangs_up_and_says_what_for() -> None:
    script = [{"say": "Two croissants"}, {"when": "your address", "say": "1 Mill Lane"}]
    one = await played(simulated(end={"outcomes": ["ordered"]}, script=script))
    assert one.hung_up == "caller"
    assert one.reasons[-1] == (
        "the caller hung up, because 'your address' was not heard; they still had to say '1 Mill Lane'"
    )
    without_end = await played(simulated(script=script))
    assert without_end.failures[0].startswith("the call did not come to its end: the caller hung up")


async def test_endless_talk_is_over_after_max_turns() -> None:
    lines = [{"say": f"What about {number}?"} for number in range(9)]
    one = await played(simulated("echo", script=lines, max_turns=4, end={"outcomes": ["done"]}))
    assert (one.turns, one.hung_up) == (4, "max_turns")
    assert one.reasons[-1] == "the call was not over after 4 messages of the caller (max_turns)"
    heard = await played(simulated("echo", script=lines, max_turns=4, end={"said": ["you said"]}))
    assert heard.failures == [
        "the call did not come to its end: the call was not over after 4 messages of the caller (max_turns)"
    ]
    enough = await played(simulated("echo", script=lines, max_turns=9))
    assert (enough.turns, enough.hung_up, enough.reasons) == (9, "caller", [])


async def test_a_call_that_the_agent_ends_early_fails_without_an_end() -> None:
    agent: VoiceAgent[Any, Any] = VoiceAgent("curt")

    @agent.on_message
    async def answer(turn: Any) -> str:
        turn.hangup()
        return "Bye."

    cut = await played(simulated(script=[{"say": "Hello"}, {"say": "Are you there?"}]), agent)
    assert cut.failures == ["the call did not come to its end: the agent hung up in turn 2"]
    assert (await played(simulated(script=[{"say": "Hello"}]), agent)).reasons == []


@pytest.mark.parametrize(("action", "passes"), [("hang_up", False), ("goal_reached", True)])
async def test_a_goal_that_is_not_reached_fails_without_an_end(action: str, passes: bool) -> None:
    def caller(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse([TextPart(json.dumps({"action": action}))])

    one = await played(simulated(goal="order"), caller_model=FunctionModel(caller))
    assert one.passed is passes
    assert one.failures == (
        [] if passes else ["the call did not come to its end: the caller hung up before their goal was reached"]
    )


async def test_what_the_agent_does_twice_or_makes_up_is_found() -> None:
    agent = find_agent("bakery", AGENTS)

    @agent.offline
    async def script(scene: Scene) -> AsyncIterator[str | Call]:
        if scene.results:
            yield "That is 9 euros 99."
        else:
            yield Call("book_table", {"people": 2, "time": "at seven"})

    end = {"outcomes": ["booked"], "grounded": True}
    one = await played(simulated(end=end, script=[{"say": "A table for two"}, {"say": "At seven"}]), agent)
    assert one.failures == [
        "the outcome 'booked' happened 2 times, expected 1; in turns 2 and 3",
        "turn 2 ('A table for two'): '9 euros 99' was spoken, but no tool, prompt or caller named it",
        "turn 3 ('At seven'): '9 euros 99' was spoken, but no tool, prompt or caller named it",
    ]


async def test_an_agent_that_hangs_up_or_fails_ends_or_fails_the_call() -> None:
    agent: VoiceAgent[Any, Any] = VoiceAgent("curt")

    @agent.on_message
    async def answer(turn: Any) -> str:
        if turn.text == "Break":
            raise RuntimeError("out of flour")
        turn.hangup()
        return "Bye."

    script = [{"say": "Break"}, {"say": "Hello"}, {"say": "Are you there?"}]
    one = await played(simulated(script=script, end={"said": ["bye"]}), agent)
    assert one.hung_up == "agent"
    assert one.failures == ["turn 2: the turn failed: RuntimeError: out of flour"]


@pytest.mark.parametrize(
    ("pattern", "text", "heard"),
    [
        ("Anything else?", "anything else?", True),
        (r"any\w+ else\?", "Anything else?", True),
        ("It is $5 (about)", "it is $5 (about)", True),
        (r"\$5 \(about", "It is $5 (about 4 euros)", True),
        (r"\$5 \(about", "It is 5 dollars", False),
        ("order (is|was)", "Your ORDER was placed", True),
    ],
)
def test_a_pattern_is_a_text_or_a_regular_expression(pattern: str, text: str, heard: bool) -> None:
    assert heard_in(pattern, text) is heard


def polite(hearing: Hearing) -> str | None:
    if "Welcome" in hearing.heard:
        return f"Hello, this is {hearing.facts['name']}"
    return None if len(hearing.exchanges) > 2 else ""


def lost(hearing: Hearing) -> str | None:
    raise KeyError("number")


def three(hearing: Hearing) -> Any:
    return 3


async def later(hearing: Hearing) -> str | None:
    return None


async def test_a_function_is_a_script(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = ModuleType("callers_of_a_test")
    module.polite, module.later, module.word = polite, later, "no function"
    monkeypatch.setitem(sys.modules, "callers_of_a_test", module)
    one = await played(simulated(script="callers_of_a_test:polite", facts={"name": "Ann"}, end={"within_turns": 2}))
    assert one.reasons == []
    assert "caller: Hello, this is Ann" in one.transcript
    assert [turn["behaviours"] for turn in one.behaviours] == [[], ["silent"]]
    assert (await played(simulated(script="callers_of_a_test:later"))).turns == 0
    with pytest.raises(ConfigurationError, match="expected a function that takes a Hearing"):
        await played(simulated(script="callers_of_a_test:word"))


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("lost", "the caller or a judge raised KeyError: 'number'"),
        ("three", "script: callers_of_a_test:three returned 3; expected a text, or None to hang up"),
    ],
)
async def test_a_function_that_fails_is_an_error_of_its_run(
    name: str, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module: Any = ModuleType("callers_of_a_test")
    module.lost, module.three = lost, three
    monkeypatch.setitem(sys.modules, "callers_of_a_test", module)
    one = await played(simulated(script=f"callers_of_a_test:{name}"))
    assert (one.errors, one.failures, one.passed) == ([error], [], False)


async def test_a_model_that_raises_is_an_error_of_its_run() -> None:
    def broken(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        raise ValueError("no such voice")

    one = await played(simulated(goal="order"), caller_model=FunctionModel(broken))
    assert (one.errors, one.passed) == (["the caller or a judge raised ValueError: no such voice"], False)


@pytest.mark.parametrize(
    ("scenario", "message"),
    [
        ("turns: [{say: b}], caller: {goal: g}", "has both `turns` and a `caller`; expected only one of them"),
        ("labels: [x]", "neither `turns` nor a `caller`"),
        ("caller: {persona: p}", "needs a `goal`"),
        ("caller: {script: []}", "expected at least one"),
        ("caller: {script: callers}", "expected `module:function`"),
        (
            "caller: {script: [{when: x, says: x}]}",
            "script.list[Rule].0: Value error, unknown field 'says'. Did you mean 'say'?",
        ),
        ("caller: {goal: g, behaviour: {interrupts: 2}}", "less than or equal to 1"),
        ("caller: {goal: g, max_turns: 0}", "greater than or equal to 1"),
        (
            "caller: {goal: g}, end: {outcome: [x]}",
            "end: Value error, unknown field 'outcome'. Did you mean 'outcomes'?",
        ),
        ("caller: {goal: g}, end: {unsaid: ['(sorry|apolog']}", "to find it as plain text, write \\(sorry\\|apolog"),
        ("caller: {goal: g}, end: {said: ['$5 (about']}", "'$5 (about' is not a regular expression"),
        ("caller: {script: [{when: '*', say: x}]}", "'*' is not a regular expression"),
        ("turns: [{say: b, expect: {matches: ['[a']}}]", "'[a' is not a regular expression"),
    ],
)
def test_a_wrong_caller_is_refused_with_the_place(tmp_path: Path, scenario: str, message: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(f"agent: x\nscenarios: [{{name: a, {scenario}}}]")
    with pytest.raises(ConfigurationError, match=r"scenarios\.0") as caught:
        load(path)
    assert message in str(caught.value)


async def test_a_caller_without_a_script_needs_a_model() -> None:
    with pytest.raises(ConfigurationError, match="--caller-model"):
        await played(simulated(goal="order"))

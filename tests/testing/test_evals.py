"""`eval`: scenarios pass with a correct agent.

With an agent that was broken on purpose they fail, and the failures say what was heard.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import yaml
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel
from typer.testing import CliRunner

from layercode_app import Call, Scene, Summary, Turn, VoiceAgent, find_agent
from layercode_app.cli.main import app as command
from layercode_app.cli.main import exit_code
from layercode_app.exceptions import ConfigurationError, LayerCodeError
from layercode_app.judging.judge import Verdict, model_judge
from layercode_app.testing import HeardTurn
from layercode_app.testing.evals import eval_report
from layercode_app.testing.evals.run_scenarios import Played, evaluate
from layercode_app.testing.evals.scenario import Expectation, Scenario, ScenarioFile, Step, load, schema

from ..processes import ROOT

pytestmark = pytest.mark.anyio

AGENTS = ROOT / "agents"
ORDER = """
agent: bakery
scenarios:
  - name: order
    labels: [happy]
    turns:
      - expect: {contains: [sunrise bakery]}
      - say: Two croissants, please
        expect:
          contains: [croissant]
          absent: [sorry]
          matches: ['comes to \\d']
          tools: [{name: add_item, args: {item: croissant}}]
          data: [{basket: {items: {croissant: 2}}}]
          within_ms: 60000
          hangup: false
        judge: Does it confirm the order?
  - name: spoken over
    turns:
      - say: What is on the menu?
        interrupt: 2
      - say: A coffee
        expect: {tools: [{name: add_item}]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "order.yaml"
    path.write_text(ORDER)
    return path


def broken() -> VoiceAgent[Any, Any]:
    """Return the bakery agent, broken on purpose: it orders two sourdough loaves, whatever the caller asks for."""
    agent = find_agent("bakery", AGENTS)

    @agent.offline
    async def script(scene: Scene) -> AsyncIterator[str | Call]:
        if scene.results:
            yield "Two sourdough, coming up."
        else:
            yield Call("add_item", {"item": "sourdough", "quantity": 2})

    return agent


async def test_a_right_agent_passes(file: Path) -> None:
    played = await evaluate(load(file), agents=AGENTS, repeat=2)
    assert [(one.scenario, one.number, one.reasons) for one in played] == [
        ("order", 1, []),
        ("order", 2, []),
        ("spoken over", 1, []),
        ("spoken over", 2, []),
    ]
    assert [row["passed"] for row in eval_report.summary(played)] == [2, 2]


COLLECTED = """
agent: phone_intake
scenarios:
  - name: a number in parts, with an interruption
    turns:
      - expect: {contains: [May I have your name]}
      - say: This is Robin
        expect: {contains: ["Thank you, Robin"], tools: [{name: save_name}]}
      - say: It is 4 1 5
        expect: {contains: [so far]}
      - say: 555 0199
        interrupt: 3
        playing: true
      - say: Tomorrow morning
        expect: {contains: [zero one nine nine, Is that right], tools: [{name: save_time}]}
      - say: "Yes, that is right"
        expect: {contains: [Goodbye], hangup: true}
"""


async def test_collectors_pass_a_scenario_with_an_interruption(tmp_path: Path) -> None:
    (tmp_path / "intake.yaml").write_text(COLLECTED)
    (played,) = await evaluate(load(tmp_path / "intake.yaml"), agents=AGENTS)
    assert played.reasons == []


DESK = """
from layercode_app import Turn, VoiceAgent

agent = VoiceAgent("desk")


@agent.on_message
async def reply(turn: Turn) -> str:
    turn.hand_to("billing")
    return "I'll get billing."
"""
HANDED = """
agent: desk
scenarios:
  - name: handed over
    turns:
      - {say: My invoice, expect: {contains: [get billing]}}
      - {say: Hello, expect: {contains: ["billing: Hello"]}}
"""


async def test_an_agent_may_hand_a_call_to_another_agent_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "desk.py").write_text(DESK)
    billing = DESK.replace('"desk"', '"billing"').replace('    turn.hand_to("billing")\n', "")
    (tmp_path / "billing.py").write_text(billing.replace('"I\'ll get billing."', '"billing: " + turn.text'))
    (tmp_path / "handed.yaml").write_text(HANDED)
    (played,) = await evaluate(load(tmp_path / "handed.yaml"), agents=tmp_path)
    assert played.reasons == []


@pytest.mark.parametrize(
    ("turns", "reasons"),
    [
        (
            [Step(), Step(say="Bye"), Step(say="Hello?")],
            ["the agent hung up in turn 2, before the caller said 'Hello?'"],
        ),
        ([Step(), Step(say="Bye")], []),
        ([Step(), Step(say="Bye"), Step(), Step(say="It's me again")], []),
        ([Step(say="Bye", expect=Expectation(hangup=True)), Step(say="Hello?")], []),
    ],
)
async def test_a_caller_who_speaks_after_the_agent_hung_up_fails(turns: list[Step], reasons: list[str]) -> None:
    agent: VoiceAgent[Any, Any] = VoiceAgent("curt", greeting="Hello.")

    @agent.on_message
    async def answer(turn: Turn) -> str:
        if turn.text == "Bye":
            turn.hangup()
        return "Goodbye."

    [played] = await evaluate(ScenarioFile(agent="curt", scenarios=[Scenario(name="s", turns=turns)]), agent=agent)
    assert played.reasons == reasons
    if reasons:
        assert "Hello?" not in played.transcript


class Insists:
    """A caller that repeats its question a number of times, and then hangs up."""

    def __init__(self, times: int) -> None:
        self.times = times

    async def next(self, heard: Sequence[HeardTurn]) -> Step | None:
        if len(heard) >= self.times:
            return None
        return Step(say=f"Again, after {heard[-1].spoken[:20]!r}" if heard else "Hello")


REMEMBERS = """
agent: remembers
scenarios:
  - name: earlier and long calls
    notes: {Ann: [Likes rye.], Ben: [Likes buns.]}
    history_tokens: 200
    metadata: {user: Ann}
    turns:
      - {say: "My order is number 4711", expect: {contains: ["Knows: Likes rye. Sums up: nothing."]}}
      - {say: "And one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen, fourteen buns"}
      - {say: "And one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen, fourteen rolls"}
      - {say: "And one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen, fourteen pies"}
      - {say: "And one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen, fourteen tarts"}
      - {say: "And one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen, fourteen cakes"}
      - {say: "What was it?", expect: {contains: ["Sums up: My order is number 4711."]}}
"""


async def test_a_scenario_begins_with_notes_and_needs_its_summary_soon(tmp_path: Path) -> None:
    async def sum_up(before: Summary | None, transcript: str) -> Summary:
        first = re.search("Caller: (.*)", transcript)
        return before or Summary(first[1] if first else "")

    agent = VoiceAgent(
        "remembers", Agent(deps_type=Turn), summary=sum_up, remember=lambda turn: turn.metadata.get("user")
    )

    @agent.offline
    async def script(scene: Scene) -> AsyncIterator[str | Call]:
        given = str(scene.messages)
        summed_up = re.findall(r"Earlier in this call: ([^\]]*)", given) or ["nothing"]
        yield f"Knows: {re.findall('Likes .*?[.]', given)[0]} Sums up: {summed_up[0]}."

    path = tmp_path / "remembers.yaml"
    path.write_text(REMEMBERS)
    [played] = await evaluate(load(path), agent=agent)
    assert played.passed, played.reasons
    path.write_text(REMEMBERS.replace("history_tokens: 200", ""))
    [played] = await evaluate(load(path), agent=agent)
    assert [reason.partition(":")[0] for reason in played.reasons] == ["turn 7"]


async def test_another_caller_says_what_they_want_given_the_conversation_so_far() -> None:
    file = ScenarioFile(agent="echo", scenarios=[Scenario(name="insists", turns=[Step()])])
    [played] = await evaluate(file, agents=AGENTS, caller=lambda scenario: Insists(2))
    assert played.reasons == []
    assert "caller: Again, after 'You said: Hello'" in played.transcript
    [endless] = await evaluate(file, agents=AGENTS, caller=lambda scenario: Insists(10_000))
    assert endless.failures[-1] == "the caller did not hang up within 100 turns"


async def test_a_reply_is_spoken_over_while_it_plays() -> None:
    over = Step(say="What is on the menu?", interrupt=2, playing=True, expect=Expectation(tools=["menu"]))
    unheard = Step(say="What is on the menu?", interrupt=0, playing=True, expect=Expectation(tools=["menu"]))
    file = ScenarioFile(agent="bakery", scenarios=[Scenario(name="over", turns=[over, unheard, Step(say="A coffee")])])
    [played] = await evaluate(file, agents=AGENTS)
    assert played.reasons == []
    assert "heard: 'Let me'" in played.transcript
    assert "heard: ''" in played.transcript


async def test_a_broken_agent_fails_with_what_was_heard_and_what_was_expected(file: Path) -> None:
    order = (await evaluate(load(file), agent=broken()))[0]
    assert not order.passed
    assert order.failures[0] == "turn 2: expected to hear 'croissant', heard 'Two sourdough, coming up.'"
    assert any("expected the tool calls [add_item(item='croissant')], got [add_item(" in f for f in order.failures)
    assert "caller: Two croissants, please" in order.transcript


@pytest.mark.parametrize(("answer", "passes"), [("yes", True), ("maybe", True), ("no", False)])
async def test_the_judge_says_why(file: Path, answer: Any, passes: bool) -> None:
    async def judge(question: str, transcript: str) -> Verdict:
        assert question == "Does it confirm the order?"
        assert transcript.splitlines()[-1].endswith("Anything else?")
        return Verdict(answer=answer, reason="I heard it.")

    order = (await evaluate(load(file), agents=AGENTS, judge=judge))[0]
    assert order.passed is passes
    assert order.reasons == ([] if passes else ["the judge says no to 'Does it confirm the order?': I heard it."])


async def test_a_failed_check_beats_the_judge(file: Path) -> None:
    async def judge(question: str, transcript: str) -> Verdict:
        return Verdict(answer="yes", reason="Lovely.")

    assert not (await evaluate(load(file), agent=broken(), judge=judge))[0].passed


async def test_a_model_is_asked_as_judge() -> None:
    judge = model_judge(TestModel(custom_output_args={"answer": "maybe", "reason": "Who knows."}))
    assert await judge("Is it polite?", "agent: Hello.") == Verdict(answer="maybe", reason="Who knows.")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("agent: [", "is not YAML"),
        ("agent: x\nscenarios: []", "scenarios"),
        (
            "agent: x\nscenarios: [{name: a, turns: [{says: b}]}]",
            "turns.0: Value error, unknown field 'says'. Did you mean 'say'?",
        ),
        (
            "agent: x\nscenarios: [{name: a, turns: [{say: b}]}, {name: a, turns: [{say: c}]}]",
            "two scenarios are named 'a'",
        ),
        ("agent: x\nscenarios: \udcff", "is not UTF-8: 'utf-8' codec"),
        ("agent: 2026-99-99", "is not a valid timestamp"),
        ("[" * 5000, "nested too deeply"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigurationError, match=message):
        load(path)


def test_the_schema_takes_what_the_models_take(file: Path) -> None:
    jsonschema.validate(yaml.safe_load(ORDER), schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"agent": "x", "scenarios": [{"name": "a", "turns": [{"says": "b"}]}]}, schema())


def test_the_command_writes_every_report(file: Path, tmp_path: Path) -> None:
    outputs = ["--junit", f"{tmp_path}/j.xml", "--html", f"{tmp_path}/p.html", "--save", f"{tmp_path}/b.json"]
    result = CliRunner().invoke(command, ["eval", str(file), "--agents", str(AGENTS), "--json", *outputs])
    told = json.loads(result.stdout)
    assert (result.exit_code, told["ok"], len(told["runs"])) == (0, True, 2)
    suite = ElementTree.parse(tmp_path / "j.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "0", "0")
    assert all(float(case.get("time", "")) > 0 for case in suite)
    assert float(suite.get("time", "")) > 0
    page = (tmp_path / "p.html").read_text()
    assert "order" in page
    assert "passed" in page
    assert not re.search(r"<script|https?:", page)
    again = CliRunner().invoke(
        command, ["eval", str(file), "--agents", str(AGENTS), "--baseline", f"{tmp_path}/b.json"]
    )
    assert again.exit_code == 0
    assert "1/1" in again.stdout


def test_a_judge_that_did_not_answer_is_an_error_and_no_failure() -> None:
    runs = [
        Played("s", "", 1, failures=["too slow"], seconds=1.0),
        Played("s", "", 2, errors=["the judge did not answer"], seconds=0.5),
        Played("s", "", 3),
    ]
    suite = ElementTree.fromstring(eval_report.junit(runs))
    assert [suite.get(name) for name in ("tests", "failures", "errors", "time")] == ["3", "1", "1", "1.500"]
    assert [[found.tag for found in case] for case in suite] == [["failure"], ["error"], []]
    assert [run.passed for run in runs] == [False, False, True]


def test_test_cases_of_several_agents_have_different_names() -> None:
    def cases(runs: Sequence[Played]) -> list[tuple[str | None, str | None]]:
        suite = ElementTree.fromstring(eval_report.junit(runs))
        return [(case.get("classname"), case.get("name")) for case in suite]

    runs = [Played("s", model, 1, agent=agent) for agent in ("bakery", "echo") for model in ("", "gpt")]
    assert cases(runs) == [("bakery", "s 1"), ("bakery gpt", "s 1"), ("echo", "s 1"), ("echo gpt", "s 1")]
    assert cases(runs[:2]) == [("eval", "s 1"), ("gpt", "s 1")]


def scenario(agent: str, **more: Any) -> str:
    return yaml.safe_dump({"agent": agent, "scenarios": [{"name": "s", "turns": [{"say": "Two croissants"}], **more}]})


@pytest.mark.parametrize(
    ("text", "options", "code", "says"),
    [
        (scenario("nope"), (), 3, "Agent 'nope' not found"),
        (scenario("bakery"), ("--model", "openai-chat:gpt-test"), 2, "OPENAI_API_KEY"),
        (scenario("bakery", mock={"add_itm": "done"}), (), 2, "Did you mean 'add_item'?"),
    ],
)
def test_what_cannot_be_played_is_one_error(
    text: str, options: tuple[str, ...], code: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    result = CliRunner().invoke(command, ["eval", str(path), "--agents", str(AGENTS), *options])
    assert says in str(result.exception)
    assert isinstance(result.exception, LayerCodeError)
    assert exit_code(result.exception) == code


async def test_an_interruption_that_never_comes_is_a_failure() -> None:
    turns = [Step(say="one", interrupt="zebra")]
    [played] = await evaluate(ScenarioFile(agent="echo", scenarios=[Scenario(name="s", turns=turns)]), agents=AGENTS)
    assert played.reasons == [
        "the caller did not interrupt, because 'zebra' was not said; the reply was: 'You said: one'."
    ]


def test_the_command_fails_with_1_and_shows_the_conversation(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    told = {"agent": "echo", "scenarios": [{"name": "s", "turns": [{"say": "one", "expect": {"contains": ["two"]}}]}]}
    path.write_text(yaml.safe_dump(ScenarioFile.model_validate(told).model_dump(exclude_defaults=True)))
    result = CliRunner().invoke(command, ["eval", str(path), "--agents", str(AGENTS)])
    assert result.exit_code == 1
    assert "expected to hear 'two', heard 'You said: one'" in result.stdout
    assert "caller: one" in result.stdout

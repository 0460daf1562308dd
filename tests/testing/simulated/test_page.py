"""The page of an evaluation shows failed runs first, filters by label without a script, and has every table."""

from __future__ import annotations

import re

import pytest

from layercode_app.judging.judge import Verdict
from layercode_app.testing.evals.eval_page import html, turns_of
from layercode_app.testing.evals.eval_report import junit
from layercode_app.testing.evals.played import Played, from_json
from layercode_app.testing.evals.run_scenarios import evaluate
from layercode_app.testing.evals.scenario import Expectation, Scenario, ScenarioFile, Step
from layercode_app.testing.evals.simulated.drill import DRILLS, SEPARATOR

from ...processes import ROOT
from ..eval_runs import run_with_turn

AGENTS = ROOT / "agents"
BEHAVIOURS = [{"turn": 1, "said": "two <b>", "behaviours": ["hesitates"]}]


def test_the_page_filters_by_label_without_a_script() -> None:
    played = [
        Played("good", "", 1, ["rush", "<i>hour"], agent="bakery", behaviours=BEHAVIOURS, hung_up="caller", turns=3),
        Played("bad", "", 1, ["<i>hour"], ["turn 2: no"], agent="bakery", notes=["the agent hung up in turn 2"]),
    ]
    page = html(played)
    assert "<script" not in page
    assert "<i>hour" not in page
    assert "two <b>" not in page
    cards = re.findall(r'<details class="card run([^"]*)"( open)?><summary><h2>(\w+)', page)
    assert cards == [(" failed label1", " open", "bad"), (" label1 label2", "", "good")]
    assert "main:has(#label2:checked) .run:not(.label2) { display: none; }" in page
    assert "the agent hung up in turn 2" in page
    assert "ended by: caller; 3 messages; 0 interruptions" in page
    assert "two &lt;b&gt;: hesitates" in page
    assert "<td>1/2</td><td>9% to 91%</td>" in page
    assert "Interruptions survived" not in page
    assert 'message="turn 2: no; the agent hung up in turn 2"' in junit(played)


def test_each_run_names_its_agent_and_each_verdict_its_judge() -> None:
    verdicts = [{"question": name, "answer": "yes", "reason": "a"} for name in ("polite", "Was it <b>brief</b>?")]
    verdicts.append({"question": "safe", "answer": "no", "reason": "b"})
    page = html([Played("order", "gpt-5", 1, agent=agent, verdicts=verdicts) for agent in ("one", "two")])
    for agent in ("one", "two"):
        assert f'<span class="soft">gpt-5 run 1, agent {agent}</span>' in page
    said = re.findall(r'<p class="reason \w+">([^<]*)</p>', page)
    assert said[:3] == [
        "the judge says no to &#39;safe&#39;: b",
        'the judge says yes to "polite": a',
        'the judge says yes to "Was it &lt;b&gt;brief&lt;/b&gt;?": a',
    ]
    assert len(said) == 6


def test_the_page_has_the_matrix() -> None:
    played = [Played(f"order{SEPARATOR}{kind}", "", 1, agent="bakery", interruptions=1) for kind in DRILLS]
    played[1].failures.append("turn 2: no")
    page = html(played)
    assert "<th>bakery: order</th>" in page
    assert "<tr><td>before the first word</td><td>1/1</td></tr>" in page
    assert "<tr><td>after three words</td><td>0/1</td></tr>" in page


ORDER = Step(say="Two croissants, please", expect=Expectation(tools=["menu"]))
OVER = Step(say="What is on the menu?", interrupt=2, playing=True)
NEVER = Step(say="A coffee", interrupt="zebra")


def cards(page: str) -> list[tuple[str, str]]:
    """Return each turn of a page: its classes and its text."""
    parts = re.findall(r'<section class="turn([^"]*)" id="run\d+-turn\d+">(.*?)</section>', page, re.DOTALL)
    return [(classes.strip(), re.sub(r"<[^>]+>", " ", content)) for classes, content in parts]


@pytest.mark.anyio
async def test_each_turn_has_its_words_waterfall_and_failures() -> None:
    scenario = Scenario(name="order", turns=[Step(), ORDER, OVER, NEVER])
    [played] = await evaluate(ScenarioFile(agent="bakery", scenarios=[scenario]), agents=AGENTS)
    assert played.broke_at == 4
    page = html([played])
    (_, greeting), (failed, order), (passed, over), (broken, never) = cards(page)
    assert [failed, passed, broken] == ["bad", "", "bad"]
    assert "Welcome to Sunrise Bakery" in greeting
    assert "Two croissants, please" in order
    assert "add_item(item=&#39;croissant&#39;, quantity=2)" in order
    assert "turn 2: expected the tool calls [menu()]" in order
    assert '<a href="#run1-turn2">turn 2: expected the tool calls' in page
    assert re.search(r"first word [\d.]+ m?s, whole turn", order)
    assert re.search(r"\bmodel 2\b.*\bspeech\b.*\bat [\d.]+ m?s", order, re.DOTALL)
    assert "the caller interrupted" in over
    assert "Let me<s>" in page
    assert "the caller did not interrupt" in never
    assert "model 2" in never
    assert not re.search(r"<script|https?:|style=", page)


@pytest.mark.anyio
async def test_a_judge_of_a_turn_is_shown_at_the_turn() -> None:
    async def judge(question: str, transcript: str) -> Verdict:
        return Verdict(answer="no", reason="It asked in turn 1.")

    turns = [Step(say="one"), Step(say="two", judge="Is it polite?")]
    file = ScenarioFile(agent="echo", scenarios=[Scenario(name="s", turns=turns)])
    [played] = await evaluate(file, agents=AGENTS, judge=judge)
    (first, _), (second, text) = cards(html([played]))
    assert (first, second) == ("", "bad")
    assert "the judge says no to &#39;Is it polite?&#39;" in text


@pytest.mark.parametrize(
    ("reason", "turns"),
    [
        ("turn 2: expected to hear 'turn 1', heard 'turn 3'", [2]),
        ("the state ends with x = 'in turn 1', expected 2; last changed in turn 3 ('I\\'m \"at\" turn 2')", [3]),
        ("the outcome 'booked' happened 2 times, expected 1; in turns 1 and 3", [1, 3]),
        ("the agent hung up in turn 9", []),
        ("the caller never heard 'turn 1'", []),
        ("the server ended", [2]),
    ],
)
def test_a_reason_is_placed_at_its_turn(reason: str, turns: list[int]) -> None:
    played = run_with_turn("Hello", "the server ended", turns=3)
    played.broke_at = 2
    assert turns_of(reason, played) == turns


def test_the_page_of_a_hundred_conversations_is_small() -> None:
    runs = [run_with_turn(f"Call {n}", *["turn 8: no"] * (n % 3 == 0), turns=8) for n in range(100)]
    page = html(runs)
    assert len(page.encode()) < 3_000_000
    assert page.count('class="wf"') == 800


def test_a_resumed_run_keeps_its_conversation() -> None:
    played = run_with_turn("Hello")
    assert from_json(played.to_json(whole=True)) == played
    assert "conversation" not in played.to_json()

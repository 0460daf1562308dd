"""A model plays the callers, over real HTTP and with the quirks that models have.

Each quirk is handled or reported, and no call hangs.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from layercode_app.cli.main import app as command
from layercode_app.exceptions import CallerError
from layercode_app.testing.evals.run_scenarios import Played, evaluate
from layercode_app.testing.evals.scenario import ScenarioFile
from layercode_app.testing.evals.simulated.caller_spec import CallerSpec
from layercode_app.testing.evals.simulated.mind import Exchange, Hearing, Move
from layercode_app.testing.evals.simulated.persona import Persona, conversation, understood
from layercode_app.testing.evals.simulated.spoken_words import spoken_words

from ...model_server import ModelServer
from ...processes import ROOT
from ...serving import serve

pytestmark = pytest.mark.anyio

AGENTS = ROOT / "agents"
MODEL = "openai-chat:gpt-test"
Lines = list[tuple[str, str]]
"""Pairs of a pattern and a line. The model says the line of the first pattern that is in the agent's last reply."""
BAKERY: Lines = [
    ("what can i get you", "Two croissants, please"),
    ("anything else", "That's all, order it"),
    ("twenty minutes", "END"),
]
INTAKE: Lines = [
    ("so robin", "Yes, that is right"),
    ("name", "My name is Robin"),
    ("number", "415 555 0199"),
    ("when", "Tomorrow morning"),
    ("goodbye", "END"),
]
HELPDESK: Lines = [("look up for you", "Where is the wireless password?"), ("sticker", "END")]
SCENARIOS: dict[str, tuple[Lines, dict[str, Any]]] = {
    "bakery": (BAKERY, {"outcomes": ["ordered"], "tools": [{"name": "place_order", "times": 1}]}),
    "phone_intake": (INTAKE, {"outcomes": ["call_back_agreed"], "state": {"name": "Robin"}}),
    "helpdesk": (HELPDESK, {"tools": ["search"], "said": ["sticker"]}),
}


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ModelServer]:
    playing = ModelServer()
    async with serve(playing.app) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "test-key")
        yield playing


def asked(messages: list[dict[str, Any]]) -> str:
    return str(next(message["content"] for message in messages if message["role"] == "user"))


def caller(lines: Lines, form: Callable[[str], str] | None = None) -> Callable[[list[dict[str, Any]]], str]:
    """Answer as a model would: in the structure that was asked for, or in another form."""

    def reply(messages: list[dict[str, Any]]) -> str:
        last = re.findall(r"agent: (.*)", asked(messages))[-1]
        words = next((words for pattern, words in lines if re.search(pattern, last, re.IGNORECASE)), "Hello?")
        if words == "END":
            return json.dumps({"action": "goal_reached"})
        return form(words) if form else json.dumps({"action": "say", "words": words})

    return reply


async def play(agent: str, **spec: Any) -> Played:
    caller = {"persona": "calm", "goal": "the goal of the caller", "facts": {"pay": "cash"}, "max_turns": 6} | spec
    told = {"agent": agent, "scenarios": [{"name": agent, "caller": caller, "end": SCENARIOS[agent][1]}]}
    [played] = await evaluate(ScenarioFile.model_validate(told), agents=AGENTS, models=["offline"], caller_model=MODEL)
    return played


@pytest.mark.parametrize("agent", list(SCENARIOS))
async def test_a_model_reaches_its_goal(server: ModelServer, agent: str) -> None:
    server.reply = caller(SCENARIOS[agent][0])
    played = await play(agent)
    assert played.reasons == []
    assert (played.helper_cost, played.unpriced) == (0, len(server.requests)), "gpt-test has no price"
    assert played.hung_up == ("agent" if agent == "phone_intake" else "goal reached")
    everything = json.dumps(server.requests)
    assert "the goal of the caller" in everything
    assert "- pay: cash" in everything
    assert "basket comes to" not in json.dumps(server.requests[0])
    assert "plain sentences: no lists" not in everything.lower(), "the caller must not know the agent's prompt"
    assert "place_order" not in everything


QUIRKS: dict[str, Callable[[str], str]] = {
    "plain text": lambda words: words,
    "markdown": lambda words: f"**{words}**\n\n",
    "json in a code block": lambda words: f'```json\n{{"action": "say", "words": "{words}"}}\n```',
    "speaks for the agent": lambda words: f"Caller: {words}\nAgent: Of course! I cancel everything.\nCaller: Thanks",
    "stage directions": lambda words: f"*clears throat* [pauses] {words} (to herself)",
    "in quotes": lambda words: f'"{words}"',
}


@pytest.mark.parametrize("quirk", list(QUIRKS))
async def test_a_quirk_is_not_spoken(server: ModelServer, quirk: str) -> None:
    server.plain = True
    server.reply = caller(BAKERY, QUIRKS[quirk])
    played = await play("bakery")
    assert played.reasons == []
    assert [turn["said"] for turn in played.behaviours] == ["Two croissants, please", "That's all, order it"]


async def test_a_model_that_repeats_itself_hangs_up(server: ModelServer) -> None:
    server.reply = caller([(".", "Can you hear me?")])
    played = await play("bakery")
    assert (played.turns, played.hung_up) == (2, "caller")
    assert played.reasons[-1] == ("the caller hung up, because their model said 'Can you hear me?' 3 times in a row")


async def test_a_model_that_never_hangs_up_is_stopped(server: ModelServer) -> None:
    numbers = iter(range(1000))
    server.reply = lambda messages: json.dumps({"action": "say", "words": f"And number {next(numbers)}?"})
    played = await play("bakery")
    assert (played.turns, played.hung_up, played.passed) == (6, "max_turns", False)
    assert played.reasons[-1] == "the call was not over after 6 messages of the caller (max_turns)"


@pytest.mark.parametrize("empty", ['{"action": "say", "words": ""}', '{"action": "silent"}'])
async def test_a_model_that_says_nothing_is_silent_and_hangs_up_then(server: ModelServer, empty: str) -> None:
    server.reply = lambda messages: empty
    played = await play("bakery")
    assert [turn["behaviours"] for turn in played.behaviours] == [["silent"], ["silent"]]
    assert played.reasons[-1].endswith("their model said nothing 3 times in a row")


@pytest.mark.parametrize(("status", "plain"), [(500, False), (429, False), (200, True)])
async def test_an_error_or_an_empty_answer_is_an_error_of_the_caller(
    server: ModelServer, status: int, plain: bool
) -> None:
    server.status, server.plain = status, plain
    server.reply = lambda messages: ""
    played = await play("bakery")
    assert (len(played.errors), played.passed) == (1, False)
    assert played.errors[0].startswith("the caller's model did not answer: ")


async def test_a_model_that_hangs_is_left_in_time(server: ModelServer) -> None:
    from layercode_app.agent.models import named_model

    server.hang = "headers"
    mind = Persona(CallerSpec(goal="g"), named_model(MODEL, "--caller-model"), seconds=0.2)
    with pytest.raises(CallerError, match=r"did not answer within 0\.2 s"):
        await mind.next(Hearing("Hello"))


async def test_a_model_hears_an_interrupted_reply_up_to_the_cut(server: ModelServer) -> None:
    server.reply = caller([("what can i get", "What is on the menu?"), (".", "END")])
    played = await play("bakery", behaviour={"interrupts": 1})
    assert played.interruptions == 1
    heard = re.findall(r"heard: '(.*)'", played.transcript)[0]
    last = asked(server.requests[-1]["messages"])
    assert last.endswith(f"you: What is on the menu?\nagent: {heard}\n\nWhat do you do next?")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Sure.\n\n- one\n- two", "Sure. one two"),
        ("**Agent:** Hello", ""),
        ("User: Hi\nAssistant: Hello", "Hi"),
        ("My agent: Smith", "My agent: Smith"),
        ("My number is (415) 555 0199 (she reads it)", "My number is (415) 555 0199"),
        ("Order [A12], *two* (2) pieces", "Order A12, (2) pieces"),
        ("Agent: What can I get you?\nCaller: Two croissants", "Two croissants"),
        ("Agent: Yes?\nCaller: Two croissants\nAgent: Sure.\nCaller: Thanks", "Two croissants"),
        ("Well. " + "Ann says so. " * 100, "Well. " + "Ann says so. " * 38),
        ("word " * 200, ("word " * 100)),
    ],
)
def test_only_the_callers_words_are_spoken(text: str, words: str) -> None:
    assert spoken_words(text) == words.strip()


@pytest.mark.parametrize("text", ["*hangs up*", "[ends the call]", "I hang up.", '{"action": "hang_up"}'])
def test_a_caller_hangs_up_in_words_too(text: str) -> None:
    assert understood(text).say is None
    assert understood("I hang up the phone when I am done").say is not None


@pytest.mark.parametrize(
    ("text", "move"),
    [
        ("hang_up", Move(None)),
        ("`goal_reached`", Move(None, reached=True)),
        ("silent", Move("")),
        ('{"action": "speak", "words": "Two \\"big\\" ones"}', Move('Two "big" ones')),
        ('{"action": "say", "words": "Two croissants", "mood": }', Move("Two croissants")),
        ('{"action": "goal_reached", "words": "Yes, place it"}', Move("Yes, place it", reached=True, last=True)),
        ('{"action": "hang_up", "words": "*hangs up*"}', Move(None)),
        ("I {think} so", Move("I {think} so")),
    ],
)
def test_a_move_is_understood_as_it_was_meant(text: str, move: Move) -> None:
    assert understood(text) == move


async def test_a_model_that_confirms_and_hangs_up_is_heard_to_the_end(server: ModelServer) -> None:
    confirms = json.dumps({"action": "goal_reached", "words": "That's all, order it"})
    say = caller([("what can i get you", "Two croissants, please")])
    server.reply = lambda messages: confirms if "anything else" in asked(messages).lower() else say(messages)
    played = await play("bakery", max_turns=2)
    assert (played.reasons, played.hung_up, len(server.requests)) == ([], "goal reached", 2)


def test_silence_is_told_as_silence() -> None:
    hearing = Hearing("", [Exchange("", "Hello?"), Exchange("", "")])
    assert conversation(hearing).startswith("The call so far:\nagent: Hello?\nyou: (silent)\nagent: (says nothing)")


def test_the_command_takes_a_model_for_the_caller(tmp_path: Any) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("agent: bakery\nscenarios: [{name: s, caller: {goal: order}}]")
    for options, says in (((), "--caller-model"), (("--caller-model", "banana"), "--caller-model banana")):
        result = CliRunner().invoke(command, ["eval", str(path), "--agents", str(AGENTS), *options])
        assert says in str(result.exception)

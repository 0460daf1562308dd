"""A recorded call becomes a scenario that passes at once and contains nothing personal."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from layercode_app import find_agent
from layercode_app.exceptions import ConfigurationError
from layercode_app.journal.record import HANGUP, Frame, Kind, Speech, Status, ToolCall, TurnRecord
from layercode_app.replay.promote import promote
from layercode_app.replay.promote_turn import scenario_of
from layercode_app.replay.promoted_test import as_test
from layercode_app.replay.recording import Recording
from layercode_app.replay.replacements import StandIns
from layercode_app.testing import open_call
from layercode_app.testing.evals.run_scenarios import evaluate
from layercode_app.testing.evals.scenario import dump, load

from ..agents.talking import AGENTS
from .recorded import PERSONAL, record_bakery, run

pytestmark = pytest.mark.anyio


def personal_in(text: str) -> list[str]:
    return [word for word in PERSONAL if re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE)]


@pytest.mark.slow
async def test_a_promoted_call_says_nothing_of_the_caller_and_passes_at_once(tmp_path: Path) -> None:
    conversation = await record_bakery(tmp_path)
    path = tmp_path / "order.yaml"
    from_journal = ["replay", conversation, "--store", f"sqlite:///{tmp_path}/journal.sqlite3", "--promote", str(path)]
    written = await run(*from_journal)
    assert written.exit_code == 0, written.output

    text = path.read_text()
    assert personal_in(text) == []
    assert conversation not in text
    assert all(kind in written.stdout for kind in ("name", "e-mail address", "number", "secret"))
    assert personal_in(written.stdout) == []

    [scenario] = yaml.safe_load(text)["scenarios"]
    greeting, order, menu, sourdough, done = scenario["turns"]
    assert scenario["metadata"]["plan"] == "gold"
    assert "say" not in greeting
    assert order["say"] == "Two croissants and a coffee for Robin, call me on 202 555 0102"
    assert order["expect"]["tools"][0] == {"name": "add_item", "args": {"item": "croissant", "quantity": 2}}
    assert order["expect"]["data"][-1]["basket"]["total"] == 7.6
    assert (menu["interrupt"], menu["expect"]["contains"]) == (5, ["Let me look. We have"])
    assert menu["expect"]["tools"] == [{"name": "menu"}]
    assert sourdough["expect"]["contains"] == ["One sourdough. The basket comes to 13 euros 10. Anything else?"]
    assert done["expect"]["data"] == [{"ordered": 13.1}]

    passed = await run("eval", path, "--agents", AGENTS, "--json")
    assert passed.exit_code == 0, passed.stdout
    again = await run(*from_journal)
    assert isinstance(again.exception, ConfigurationError)


async def test_a_call_in_which_everything_is_personal_still_passes(tmp_path: Path) -> None:
    async with open_call(find_agent("phone_intake", AGENTS)) as call:
        await call.greet(from_phone_number="+14155550199")
        await call.say("Ada Lovelace")
        call.interrupt(after=4)
        await call.say("My number is 415 555 0199")
        call.interrupt(after=2, playing=True)
        await call.say("My number is 415 555 0199")
        await call.say("Tomorrow at noon")
        await call.say("Yes")
        turns = await call.records()
    path = tmp_path / "intake.yaml"
    path.write_text(dump(promote(Recording(turns), StandIns(turns), name="intake")))
    text = path.read_text()
    for word in ["Ada", "Lovelace", "415", "0199", "four one five", "zero one nine nine"]:
        assert word not in text
    assert "two zero two, five five five, zero one zero" in text, "a number that is read back is replaced as well"
    [scenario] = load(path).scenarios
    assert [(step.interrupt, step.playing) for step in scenario.turns[2:4]] == [(4, False), (2, True)]
    assert scenario.turns[-1].expect.hangup is True
    [played] = await evaluate(load(path), agents=AGENTS)
    assert played.reasons == []


def turn(user_text: str, spoken: str = "", **more: Any) -> TurnRecord:
    event = {"type": "message", "text": user_text}
    speech = [Speech("model", 0, spoken)] if spoken else []
    values: dict[str, Any] = {"event": event, "status": Status.COMPLETE, "model": "offline", **more}
    return TurnRecord("c", "t", Kind.MESSAGE, "shop", user_text=user_text, speech=speech, **values)


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("My name is Grace Hopper, thank you", "My name is Robin Garcia, thank you"),
        ("hi, I'm Grace", "hi, I'm Robin"),
        ("write to grace@mail.example.org.", "write to caller1@example.com."),
        ("it is grace dot hopper at mail dot example dot org", "it is caller1 at example dot com"),
        ("call +44 20 7946 0958 or (020) 7946-0958", "call +11 20 2555 0101 or (120) 2555-0101"),
        ("four one five, five five five, oh one nine nine", "two zero two, five five five, zero one zero one"),
        ("two coffees at 19:30 on 2026-11-21 for 12.50", "two coffees at 19:30 on 2026-11-21 for 12.50"),
        ("my key is sk-test-1234567890abcdef", "my key is something private"),
    ],
)
def test_what_a_caller_says_of_themselves_is_replaced_in_the_same_form(said: str, left: str) -> None:
    assert StandIns([turn(said)]).caller(said) == left


def test_what_only_the_agent_knows_is_left_out_of_what_is_expected() -> None:
    call = ToolCall("1", "mail", {"to": "ada@example.org", "what": "receipt"}, 0.0, 1.0, "done", {"last_name": "Byron"})
    frames = [Frame("response.data", {"sent": ["ada@example.org"], "ok": True}, 2.0)]
    one = turn("Send it", "I write to ada@example.org, Ms Byron, at once.", tools=[call], frames=frames)
    stand_ins = StandIns([one])
    [scenario] = promote(Recording([one]), stand_ins, name="mail").scenarios
    expect = scenario.turns[0].expect
    assert expect.contains == ["I write to", ", Ms", ", at once."]
    assert expect.model_dump()["tools"] == [{"name": "mail", "args": {"what": "receipt"}}]
    assert expect.data == [{"ok": True}]
    assert {row["by"] for row in stand_ins.replaced} == {None}


def test_a_text_may_be_named_and_another_kept() -> None:
    one = turn("I live in Oslo, my name is May", metadata={"street": "Karl Johans gate 1"})
    stand_ins = StandIns([one], also=["oslo"], keep=["May"])
    assert stand_ins.caller(one.user_text) == "I live in example 1, my name is May"
    assert stand_ins.metadata(one.metadata) == {"street": "2 Example Street"}
    assert [row["original"] for row in stand_ins.replaced] == ["K…", "O…"]


def test_the_words_of_a_real_model_are_a_judges_to_compare_and_metadata_goes_with_its_turn() -> None:
    turns = [
        turn("Hi", "Good day!", model="gpt-5-mini", metadata={"plan": "gold", "page": 1}),
        turn("Bye", "", model="gpt-5-mini", metadata={"plan": "gold", "page": 2}, status=Status.FAILED, error="X"),
    ]
    [scenario] = promote(Recording(turns), StandIns(turns), name="s", agent="other").scenarios
    first, second = scenario.turns
    assert first.expect.contains == []
    assert "'Good day!'" in (first.judge or "")
    assert (scenario.metadata, first.metadata, second.metadata) == ({"plan": "gold"}, {"page": 1}, {"page": 2})
    assert second.judge is None
    assert second.expect.model_dump(exclude_defaults=True) == {}


def test_a_turn_after_a_hang_up_is_saved_with_the_hang_up() -> None:
    before = turn("Bye", "Goodbye.", frames=[Frame(HANGUP, None, 2.0)])
    chosen = turn("It's me again", "Hello.")
    chosen.turn_id = "u"
    [scenario] = scenario_of([before, chosen], "u").scenarios
    assert scenario.turns[0].expect.model_dump(exclude_defaults=True) == {"hangup": True}


@pytest.mark.parametrize(
    ("more", "check"),
    [
        ({}, 'turn.tools == [Called("mail", to="me")]'),
        ({"heard_text": "I write"}, 'turn.tools == [Called("mail", to="me")]'),
        (
            {"heard_text": "I write", "status": Status.INTERRUPTED, "cut_off": True},
            'turn.tools.include(Called("mail", to="me"))',
        ),
    ],
)
def test_a_test_of_an_interrupted_turn_allows_calls_that_had_not_ended(more: Any, check: str) -> None:
    call = ToolCall("1", "mail", {"to": "me"}, 0.0, 1.0, "done", "sent")
    one = turn(
        "Send it", "I write to you.", tools=[call], frames=[Frame("response.tts", "I write to you.", 2.0)], **more
    )
    assert f"assert {check}" in as_test(scenario_of([one], "t"))


async def test_the_list_of_what_was_replaced_is_there_for_programs(tmp_path: Path) -> None:
    conversation = await record_bakery(tmp_path)
    store = f"sqlite:///{tmp_path}/journal.sqlite3"
    path = tmp_path / "order.yaml"
    result = await run("replay", conversation, "--store", store, "--promote", path, "--remove", "sourdough", "--json")
    told = json.loads(result.stdout)
    assert told["file"] == str(path)
    assert {"kind": "secret", "original": "api_key", "by": None, "times": 1} in told["replaced"]
    assert "sourdough" not in path.read_text().lower()
    refused = await run("replay", conversation, "--store", store, "--keep", "x")
    assert refused.exit_code == 2

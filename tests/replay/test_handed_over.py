"""A call that was handed over is replayed, promoted and forked as a whole: each agent answers its own turns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from layercode_app import VoiceAgent
from layercode_app.agent.discovery import discover
from layercode_app.cli.sessions.view import write_export
from layercode_app.dev.forks import fork_for_page
from layercode_app.emulator.playground.source import ForkRequest
from layercode_app.journal.record import TurnRecord
from layercode_app.replay.fork import Changes, fork
from layercode_app.replay.open_fork import fork_recorded
from layercode_app.replay.promote import promote
from layercode_app.replay.promote_turn import scenario_of
from layercode_app.replay.recording import Recording
from layercode_app.replay.replacements import StandIns
from layercode_app.replay.replay import Options, replay
from layercode_app.settings import load_settings
from layercode_app.testing import open_call
from layercode_app.testing.evals.run_scenarios import evaluate

from ..agents.talking import AGENTS
from ..testing.test_handed_over_calls import AGENTS as AT_ONCE
from ..testing.test_handed_over_calls import desk, till, with_states
from .recorded import change, copied_agents, run, run_json

pytestmark = pytest.mark.anyio

SAID = ("Do you sell submarines?", "Yes please", "Er, why?")


async def recorded(*said: str, ended: bool = False) -> list[TurnRecord]:
    """Return the records of a call to the help desk."""
    async with open_call("helpdesk", agents=AGENTS) as call:
        for text in said:
            await call.say(text)
        if ended:
            await call.end()
        return await call.records()


def helpdesk() -> tuple[VoiceAgent[Any, Any], VoiceAgent[Any, Any]]:
    found = discover(AGENTS)
    return found.get("helpdesk"), found.get("helpdesk_callback")


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("run_tools", [False, True])
async def test_each_agent_replays_its_turns(ended: bool, run_tools: bool) -> None:
    first, second = helpdesk()
    recording = Recording(await recorded(*SAID, ended=ended))
    result = await replay(recording, first, Options(run_tools=run_tools), others=[second])
    assert [(turn.old.agent, turn.new is not None, turn.differences) for turn in result.turns] == [
        ("helpdesk", True, []),
        ("helpdesk", True, []),
        ("helpdesk_callback", True, []),
    ]
    assert [versions.changed for versions in result.versions.values()] == [False, False]


async def test_the_command_finds_the_agents_and_tells_which_has_changed(tmp_path: Path) -> None:
    path, agents = tmp_path / "call.json", copied_agents(tmp_path)
    write_export(await recorded(*SAID), html=False, output=path, redacted=False)
    code, result = await run_json("replay", path, "--agents", agents)
    assert (code, result["agent"], [turn["differences"] for turn in result["turns"]]) == (0, "helpdesk", [[]] * 3)
    change(agents / "prompts/helpdesk_callback.md", "call backs", "visits")
    code, result = await run_json("replay", path, "--agents", agents)
    assert [bool(turn["differences"]) for turn in result["turns"]] == [False, False, True]
    assert result["versions"] == result["agents"]["helpdesk"]
    assert {name: [of["today"]] == of["recorded"] for name, of in result["agents"].items()} == {
        "helpdesk": True,
        "helpdesk_callback": False,
    }


@pytest.mark.parametrize("file", ["back.py", "another_name.py"])
async def test_the_command_fails_if_an_agent_of_the_call_cannot_be_loaded(file: str, tmp_path: Path) -> None:
    agents, path = tmp_path / "agents", tmp_path / "call.json"
    agents.mkdir()
    for name, number in (("front.py", 0), (file, 1)):
        (agents / name).write_text(f"from {with_states.__module__} import with_states\nagent = with_states()[{number}]")
    async with open_call("front", agents=agents) as call:
        for text in ("I can wait", "I want to pay", "And again"):
            await call.say(text)
        write_export(await call.records(), html=False, output=path, redacted=False)
    code, result = await run_json("replay", path, "--agents", agents)
    assert (code, result["missing"], [turn["differences"] for turn in result["turns"]]) == (0, {}, [[]] * 3)
    code, result = await run_json("replay", path, "--agents", agents, "--agent", "back")
    assert (result["missing"], [turn["came"] for turn in result["turns"]]) == ({}, ["Paid.", None, "Paid."])
    (agents / file).write_text("import nothing_of_this_name")
    code, result = await run_json("replay", path, "--agents", agents)
    assert (code, result["ok"], list(result["missing"])) == (1, False, ["back"])
    assert "nothing_of_this_name" in result["missing"]["back"]
    shown = (await run("replay", path, "--agents", agents)).stdout
    assert "Agent 'back' of the call is not loaded: " in shown
    assert "No difference in the turns that were replayed." in shown


async def test_the_command_fails_if_no_turn_is_replayed(tmp_path: Path) -> None:
    path = tmp_path / "call.json"
    (tmp_path / "at_once.py").write_text(AT_ONCE)
    async with open_call("desk", agents=tmp_path) as call:
        call.mock("charge", returns="approved")
        await call.say("I want to pay")
        write_export(await call.records(), html=False, output=path, redacted=False)
    code, result = await run_json("replay", path, "--agents", tmp_path)
    assert (code, result["ok"], result["missing"]) == (1, False, {}), "two agents answered the only turn"
    assert "No turn was replayed." in (await run("replay", path, "--agents", tmp_path)).stdout


@pytest.mark.parametrize("ended", [False, True])
async def test_the_whole_call_becomes_a_scenario_of_the_agent_that_began_it(ended: bool) -> None:
    turns = await recorded(*SAID, ended=ended)
    file = promote(Recording(turns), StandIns(turns), name="handed")
    assert (file.agent, [step.say for step in file.scenarios[0].turns]) == ("helpdesk", list(SAID))
    [played] = await evaluate(file, agents=AGENTS)
    assert played.reasons == []
    assert scenario_of(turns, turns[2].turn_id).agent == "helpdesk"


async def test_a_turn_that_two_agents_answered_becomes_a_step(tmp_path: Path) -> None:
    (tmp_path / "agents.py").write_text(AT_ONCE)
    async with open_call("desk", agents=tmp_path) as call:
        call.mock("charge", returns="approved")
        await call.say("I want to pay")
        turns = await call.records()
    file = promote(Recording(turns), StandIns(turns), name="handed")
    file.scenarios[0].mock = {"charge": "approved"}
    [played] = await evaluate(file, agents=tmp_path)
    assert (file.agent, played.reasons, len(played.conversation)) == ("desk", [], 1)


async def test_an_agent_without_a_model_that_takes_over_replays_too() -> None:
    front, back = with_states()
    async with open_call(front, others=[back]) as call:
        for text in ("I can wait", "I want to pay", "And again"):
            await call.say(text)
        recording = Recording(await call.records())
    result = await replay(recording, front, others=[back])
    assert [(turn.new is not None, turn.differences) for turn in result.turns] == [(True, []), (False, []), (True, [])]
    assert not any(versions.changed for versions in result.versions.values())


async def test_a_fork_is_answered_by_the_agent_of_the_forked_turn(tmp_path: Path) -> None:
    stored = {"store": f"sqlite:///{tmp_path}/journal.sqlite3"}
    async with open_call("helpdesk", agents=AGENTS, settings=stored) as call:
        for text in SAID:
            await call.say(text)
        of_page = [
            await fork_for_page(call.app, ForkRequest(conversation_id=call.conversation_id, turn_id=turn.turn_id))
            for turn in call.turns
        ]
    settings = load_settings(stored, env_file=None, toml_file=None)
    forked = [
        await fork_recorded(call.conversation_id, at=at, changes=Changes(), settings=settings, agents_dir=AGENTS)
        for at in (1, 2, 3)
    ]
    agents = ["helpdesk", "helpdesk", "helpdesk_callback"]
    assert [one.agent for one in forked] == [one["agent"] for one in of_page] == agents
    assert [one.pairs[0].new.spoken_text for one in forked] == [turn.spoken for turn in call.turns]


async def test_in_a_fork_the_other_agent_answers_after_a_hand_over() -> None:
    first, second = helpdesk()
    said = (*SAID, "415 555 0199", "Where is the wireless password?")
    turns = await recorded(*said)
    forked = await fork(turns, first, at=2, changes=Changes(rest=True), others=[second])
    assert [(pair.new.agent, pair.new.spoken_text) for pair in forked.pairs] == [
        (pair.old.agent, pair.old.spoken_text) for pair in forked.pairs if pair.old
    ]
    assert [pair.new.agent for pair in forked.pairs] == [
        "helpdesk",
        "helpdesk_callback",
        "helpdesk_callback",
        "helpdesk",
    ]
    changed = await fork(turns, first, at=2, changes=Changes(say=["Yes please", "No, thanks"]), others=[second])
    assert changed.pairs[1].new.agent == "helpdesk_callback"


async def test_in_a_fork_each_agent_has_its_state_of_that_time() -> None:
    front, back = with_states()
    async with open_call(front, others=[back]) as call:
        for text in ("I can wait", "I want to pay", "And again", "Once more"):
            await call.say(text)
        turns = await call.records()
    forked = await fork(turns, front, at=1, changes=Changes(rest=True), others=[back])
    assert [(pair.new.agent, pair.new.state) for pair in forked.pairs] == [
        (pair.old.agent, pair.old.state) for pair in forked.pairs if pair.old
    ]
    forked = await fork(turns, back, at=4, others=[front])
    assert forked.pairs[0].new.state == {"paid": 15}


@pytest.mark.parametrize("loaded", [True, False])
async def test_a_hand_over_at_once_is_repeated_in_a_fork_if_the_agent_is_loaded(loaded: bool) -> None:
    first, second = desk(), till()
    async with open_call(first, others=[second]) as call:
        call.mock("charge", returns="approved")
        await call.say("I want to pay")
        turns = await call.records()
    forked = await fork(turns, first, at=1, others=[second] if loaded else [helpdesk()[0]])
    new = forked.pairs[0].new
    if loaded:
        assert (new.agent, new.handed_by, new.spoken_text) == ("till", ["desk"], "It is approved.")
    else:
        assert (new.agent, new.handed_by, new.handed_to) == ("desk", [], "")

"""The matrix of interruptions plays each scenario with each kind of interruption, and counts the runs that pass."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from pydantic_ai import Agent
from typer.testing import CliRunner

from layercode_app import Call, VoiceAgent
from layercode_app.cli.main import app as command
from layercode_app.exceptions import ConfigurationError
from layercode_app.testing import open_call, scripted
from layercode_app.testing.evals.matrix_report import matrix_rows, matrix_table
from layercode_app.testing.evals.played import Played
from layercode_app.testing.evals.run_scenarios import evaluate
from layercode_app.testing.evals.scenario import Scenario, ScenarioFile, Step, load
from layercode_app.testing.evals.simulated.drill import DRILLS, matrix

from ...processes import ROOT

AGENTS = ROOT / "agents"
SCRIPT = [{"say": "Two croissants, please"}, {"say": "And a coffee for me"}, {"say": "That's all"}]
FILE = {
    "agent": "bakery",
    "scenarios": [{"name": "order", "caller": {"script": SCRIPT}, "end": {"outcomes": ["ordered"]}}],
}


@pytest.mark.anyio
@pytest.mark.slow
async def test_each_interruption_takes_place_where_it_should() -> None:
    played = await evaluate(matrix(ScenarioFile.model_validate(FILE)), agents=AGENTS, repeat=2)
    assert len(played) == 12
    by_name = {(one.scenario.removeprefix("order / "), one.number): one for one in played}
    for (kind, number), one in by_name.items():
        assert one.interruptions == (2 if kind == "twice in a row" else 1), (kind, number)
        drilled = [turn["turn"] for turn in one.behaviours if turn["behaviours"] == [f"breaks in {kind}"]]
        turn = number + 1  # the greeting is turn 1
        assert drilled == ([turn, turn + 1] if kind == "twice in a row" else [turn]), (kind, number)
    assert "caller: mhm" in by_name["with a listening sound", 1].transcript
    assert "(interrupted; heard: '')" in by_name["before the first word", 1].transcript
    assert "(interrupted; heard: 'Two croissants. The')" in by_name["after three words", 1].transcript
    assert "(interrupted; heard: 'One coffee. The')" in by_name["while it is still played", 2].transcript
    assert "tool: add_item" in by_name["within a tool", 1].transcript
    assert all(by_name[kind, 1].passed for kind in ("after three words", "while it is still played", "twice in a row"))


@pytest.mark.anyio
@pytest.mark.parametrize("agent", ["echo", "slow"])
async def test_a_healthy_agent_of_the_gallery_survives_all(agent: str) -> None:
    played = await evaluate(matrix(load(AGENTS / "evals" / f"{agent}.yaml")), agents=AGENTS)
    assert [(one.scenario, one.reasons) for one in played if not one.passed] == []
    assert all(one.interruptions for one in played if "tool" not in one.scenario)


@pytest.mark.anyio
async def test_a_caller_breaks_in_while_a_tool_runs() -> None:
    shop = Agent()
    begun, ended = asyncio.Event(), asyncio.Event()

    @shop.tool_plain
    async def bake() -> str:
        begun.set()
        await asyncio.sleep(60)
        ended.set()
        return "baked"

    agent = VoiceAgent("oven", shop)
    async with open_call(agent, model=scripted(["One moment. ", Call("bake")], "Hello.", "Hello.")) as call:
        call.interrupt(in_tool=True)
        turn = await call.say("Bake")
        assert (begun.is_set(), ended.is_set(), turn.interrupted, turn.heard) == (True, False, True, "One moment. ")
        call.interrupt(in_tool=True, required=False)
        assert not (await call.say("Hello")).interrupted
        call.interrupt(in_tool=True)
        with pytest.raises(AssertionError, match="because no tool was called"):
            await call.say("Hello")


@pytest.mark.slow
def test_the_command_shows_the_matrix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "order.yaml"
    path.write_text(json.dumps(FILE))
    options = ["eval", str(path), "--agents", str(AGENTS), "--interruptions", "matrix"]
    told = json.loads(CliRunner().invoke(command, [*options, "--json"]).stdout)
    [row] = told["matrix"]
    assert (row["agent"], row["scenario"], list(row["interruptions"])) == ("bakery", "order", list(DRILLS))
    assert row["interruptions"]["after three words"] == {"passed": 1, "runs": 1, "broke_in": 1, "survived": 1}
    shown = CliRunner().invoke(command, options).stdout
    assert "bakery: order" in shown
    assert "twice in a row" in shown
    assert CliRunner().invoke(command, ["eval", str(path), "--interruptions", "all"]).exit_code == 2


def test_only_interrupted_runs_count_in_the_matrix() -> None:
    runs = [Played("order / twice in a row", "", number, agent="bakery") for number in range(4)]
    runs[0].interruptions, runs[0].failures = 1, ["the state is wrong"]
    runs[1].interruptions = 2
    [row] = matrix_rows([*runs, Played("order / within a tool", "", 1, agent="bakery")])
    assert row["interruptions"]["twice in a row"] == {"passed": 3, "runs": 4, "broke_in": 2, "survived": 1}
    shown = matrix_table([row])[2]
    assert ["twice in a row", "1/2"] in shown
    assert ["within a tool", "-"] in shown


def test_a_matrix_needs_a_simulated_caller() -> None:
    file = ScenarioFile(agent="echo", scenarios=[Scenario(name="s", turns=[Step(say="one")])])
    with pytest.raises(ConfigurationError, match="has a `caller`"):
        matrix(file)

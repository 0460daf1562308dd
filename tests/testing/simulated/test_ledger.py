"""A broken-off evaluation goes on where it stopped, and a budget stops it cleanly."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from layercode_app import VoiceAgent
from layercode_app.cli.main import app as command
from layercode_app.exceptions import ConfigurationError
from layercode_app.testing.evals.ledger import Ledger
from layercode_app.testing.evals.run_scenarios import Play, Played, evaluate
from layercode_app.testing.evals.scenario import Scenario, ScenarioFile, Step
from layercode_app.testing.evals.source import source_digest

from ...priced import priced_agent
from ...processes import ROOT

AGENTS = ROOT / "agents"
SCENARIO: dict[str, Any] = {"name": "s", "caller": {"script": [{"say": "one"}]}, "end": {"said": ["one"]}}
FILE = {"agent": "echo", "scenarios": [SCENARIO]}


def played_numbers(result: Result) -> list[int]:
    return [run["number"] for run in json.loads(result.stdout)["runs"]]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "s.yaml"
    path.write_text(json.dumps(FILE))
    return path


def run(file: Path, *options: str) -> Result:
    return CliRunner().invoke(command, ["eval", str(file), "--agents", str(AGENTS), "--json", *options])


def test_a_resumed_evaluation_plays_only_what_is_missing(file: Path, tmp_path: Path) -> None:
    assert played_numbers(run(file, "--repeat", "3")) == [1, 2, 3]
    [runs] = (tmp_path / ".layercode" / "evals").iterdir()
    kept = runs.read_text().splitlines()
    assert len(kept) == 3
    marked = [json.loads(line) for line in kept[:2]]
    for line in marked:
        line["run"]["transcript"] = "from the file"
    # The process was killed while it wrote the third line.
    runs.write_text("".join(json.dumps(line) + "\n" for line in marked) + kept[2][:40])
    again = json.loads(run(file, "--repeat", "4", "--resume").stdout)["runs"]
    assert sorted(one["number"] for one in again) == [1, 2, 3, 4]
    assert sum(one["transcript"] == "from the file" for one in again) == 2
    other_seed = json.loads(run(file, "--repeat", "2", "--resume", "--seed", "5").stdout)["runs"]
    assert not any(one["transcript"] == "from the file" for one in other_seed)
    assert not any(one["transcript"] == "from the file" for one in json.loads(run(file).stdout)["runs"])


ANSWERS = """
from layercode_app import VoiceAgent
agent = VoiceAgent("mine")

@agent.on_message
async def answer(turn):
    return "{}"
"""


def test_a_resumed_evaluation_plays_changed_code_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    turns = {"name": "s", "turns": [{"say": "Hello", "expect": {"contains": ["right"]}}]}
    (tmp_path / "s.yaml").write_text(json.dumps({"agent": "mine", "scenarios": [turns]}))
    for folder, says in (("one", "right"), ("two", "wrong")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(ANSWERS.format(says))

    def exit_code(folder: str, *options: str) -> int:
        return CliRunner().invoke(command, ["eval", "s.yaml", "--agents", folder, *options]).exit_code

    assert exit_code("one") == 0
    assert len(list((tmp_path / ".layercode" / "evals").iterdir())) == 1
    assert exit_code("two", "--resume") == 1
    assert exit_code("one", "--resume") == 0
    (tmp_path / "one" / "mine.py").write_text(ANSWERS.format("neither"))
    assert exit_code("one", "--resume") == 1


def test_a_changed_script_is_other_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "callers_to_hash.py"
    scenario = SCENARIO | {"caller": {"script": "callers_to_hash:one"}}
    file = ScenarioFile.model_validate({"agent": "echo", "scenarios": [scenario]})
    path.write_text("def one(hearing): return None")
    before = source_digest([file], AGENTS)
    assert source_digest([file], AGENTS) == before
    path.write_text("def one(hearing): return 'Hello'")
    assert source_digest([file], AGENTS) != before


@pytest.mark.parametrize("name", ["menu.json", "prices.csv", "data/menu.yaml", "prompts/echo.jinja", "faces.bin"])
def test_changed_data_of_an_agent_is_other_source(name: str, tmp_path: Path) -> None:
    file, path = ScenarioFile.model_validate(FILE), tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("tomato soup")
    before = source_digest([file], tmp_path)
    path.write_text("leek soup")
    changed = source_digest([file], tmp_path)
    assert changed != before
    for ignored in ("agent.log", ".hidden", "__pycache__/echo.cpython-311.pyc"):
        (tmp_path / ignored).parent.mkdir(exist_ok=True)
        (tmp_path / ignored).write_text("")
    assert source_digest([file], tmp_path) == changed


def test_a_folder_that_cannot_be_written_to_keeps_no_runs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ledger = Ledger(tmp_path / "file" / "runs.jsonl")
    played = Play("echo", Scenario(name="s", turns=[Step(say="one")]), None, 1)
    ledger.add(played, Played("s", "", 1))
    assert ledger.known(played) is None


@pytest.mark.parametrize("resume", [False, True])
def test_runs_that_cannot_be_saved_stop_no_evaluation(resume: bool, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "runs.jsonl"
    ledger = Ledger(path, resume=resume)
    path.unlink(missing_ok=True)
    path.parent.rmdir()
    played = Play("echo", Scenario(name="s", turns=[Step(say="one")]), None, 1)
    ledger.add(played, Played("s", "", 1))
    path.parent.mkdir()
    ledger.add(played, Played("s", "", 1))
    assert not path.exists(), "an incomplete line would be followed by others"


def test_a_source_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "echo.py").write_text("")
    monkeypatch.setattr(Path, "read_bytes", forbidden)
    with pytest.raises(ConfigurationError, match=r"echo\.py cannot be read: Permission denied"):
        source_digest([ScenarioFile.model_validate(FILE)], tmp_path)


def test_a_broken_file_of_runs_is_a_clear_error(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text('{"key": 1}\n{}\n')
    with pytest.raises(ConfigurationError, match=r"runs\.jsonl:1 is not a finished run"):
        Ledger(path, resume=True)
    assert Ledger(tmp_path / "none" / "runs.jsonl", resume=True).spent == 0


@pytest.mark.anyio
async def test_a_budget_stops_the_evaluation(tmp_path: Path) -> None:
    told: Any = FILE | {"agent": "priced"}
    file = ScenarioFile.model_validate(told)
    agent = priced_agent()
    [first] = await evaluate(file, agent=agent)
    assert first.cost
    assert first.cost > 0
    path = tmp_path / "runs.jsonl"
    ledger = Ledger(path, budget=first.cost * 2.5)
    played = await evaluate(file, agent=agent, repeat=6, concurrency=1, ledger=ledger)
    assert (len(played), ledger.skipped) == (3, 3)
    assert ledger.spent == pytest.approx(first.cost * 3)
    resumed = Ledger(path, budget=first.cost * 10, resume=True)
    assert len(await evaluate(file, agent=agent, repeat=6, concurrency=1, ledger=resumed)) == 6
    assert resumed.spent == pytest.approx(first.cost * 6)
    assert len(path.read_text().splitlines()) == 6


@pytest.mark.anyio
async def test_a_cancelled_evaluation_leaves_nothing_running() -> None:
    agent: VoiceAgent[Any, Any] = VoiceAgent("echo")
    asked = asyncio.Event()

    @agent.on_message
    async def answer(turn: Any) -> str:
        asked.set()
        await asyncio.sleep(3600)
        return "never"

    before = asyncio.all_tasks()
    playing = asyncio.create_task(evaluate(ScenarioFile.model_validate(FILE), agent=agent, repeat=3))
    await asked.wait()
    playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await playing
    assert {task.get_name() for task in asyncio.all_tasks() - before} == set()


def test_the_command_says_what_the_budget_left_out(file: Path) -> None:
    result = CliRunner().invoke(command, ["eval", str(file), "--agents", str(AGENTS), "--max-cost", "0"])
    assert result.exit_code == 1
    assert "1 run not played, because --max-cost was spent; --resume plays them." in result.stdout


def test_the_json_has_the_reliability(file: Path) -> None:
    told = json.loads(run(file, "--repeat", "2", "--concurrency", "2").stdout)
    assert told["pass^k"] == {"1": 1.0, "2": 1.0}
    assert told["summary"][0]["pass^k"] == told["reliability"][0]["pass^k"] == {"1": 1.0, "2": 1.0}
    assert (told["reliability"][0]["agent"], told["comparisons"], told["skipped"]) == ("echo", [], 0)
    table = CliRunner().invoke(command, ["eval", str(file), "--agents", str(AGENTS), "--repeat", "2"]).stdout
    assert "pass^k" in table
    assert "2/2" in table


@pytest.mark.slow
def test_agents_are_compared_side_by_side(file: Path) -> None:
    options = ("--agent", "echo", "--agent", "starter", "--repeat", "5")
    told = json.loads(run(file, *options).stdout)
    assert [(row["agent"], row["passed"]) for row in told["summary"]] == [("echo", 5), ("starter", 5)]
    assert [(row["agent"], row["difference"], row["more_than_chance"]) for row in told["comparisons"]] == [
        ("starter", 0, False)
    ]
    shown = CliRunner().invoke(command, ["eval", str(file), "--agents", str(AGENTS), *options]).stdout
    assert shown.splitlines()[0].split() == ["scenario", "echo", "starter"]
    assert "starter passes as often as echo" in shown


@pytest.mark.slow
def test_an_evaluation_no_worse_than_its_baseline_passes(file: Path, tmp_path: Path) -> None:
    wrong = {"agent": "echo", "scenarios": [SCENARIO | {"end": {"said": ["two"]}}]}
    assert run(file, "--repeat", "4", "--save", "good.json").exit_code == 0
    file.write_text(json.dumps(wrong))
    assert run(file, "--repeat", "4", "--save", "bad.json").exit_code == 1
    assert run(file, "--repeat", "4", "--baseline", "good.json").exit_code == 1
    assert run(file, "--repeat", "4", "--baseline", "bad.json").exit_code == 0

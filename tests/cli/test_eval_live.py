"""The live table of `eval` fits terminals of any width and height.

On a real terminal, the table follows the runs, and is removed before the report is printed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from layercode_app.cli.eval.live_table import LiveTable
from layercode_app.output.live import cells_of
from layercode_app.testing import HeardTurn
from layercode_app.testing.evals.ledger import Ledger
from layercode_app.testing.evals.progress import Progress
from layercode_app.testing.evals.run_scenarios import Play, Played, evaluate
from layercode_app.testing.evals.scenario import Scenario, ScenarioFile, Step

from ..priced import priced_agent
from ..terminal import plain, terminal


def file_of(*names: str, agent: str = "echo") -> ScenarioFile:
    return ScenarioFile(agent=agent, scenarios=[Scenario(name=name, turns=[Step(say="one")]) for name in names])


def play(file: ScenarioFile, at: int, number: int = 1, model: str | None = None) -> Play:
    return Play(file.agent, file.scenarios[at], model, number)


def begin(progress: Progress, run: Play, *, turns: int) -> None:
    progress.begin(run, [HeardTurn(f"turn-{n}", "", 0) for n in range(turns)])


def end(progress: Progress, run: Play, *failures: str, cost: float = 0.0) -> None:
    progress.end(run, Played(run.scenario.name, "", run.number, failures=list(failures), cost=cost))


def shown(progress: Progress, *, width: int = 100, height: int = 30, budget: float | None = None) -> list[str]:
    """Return the lines of the table. They fit the terminal."""
    ledger = Ledger(budget=budget)
    ledger.spent = sum(row.spent for row in progress.rows)
    times = iter((100.0, 175.5))
    drawn = LiveTable(progress, ledger, clock=lambda: next(times)).draw(width, height)
    lines = ["".join(part if isinstance(part, str) else part[0] for part in line).rstrip() for line in drawn]
    assert len(lines) < height
    assert max(map(cells_of, lines)) <= width
    return lines


def test_each_row_has_its_runs_and_the_turns_they_are_at() -> None:
    file = file_of("order", "refund", "table", "opening hours")
    progress = Progress([file], [None], 3)
    for number in (1, 2):
        end(progress, play(file, 0, number), cost=0.01)
    runs = [play(file, 0, 3), play(file, 1), play(file, 1, 2)]
    for run, turns in zip(runs, (4, 2, 5), strict=True):
        begin(progress, run, turns=turns)
    for number in (1, 2, 3):
        end(progress, play(file, 2, number), *["no"] * (number == 2))
    assert shown(progress, budget=0.5) == [
        "scenario        runs  passed  failed    spent  now",
        "order            2/3       2       0  $0.0200  turn 4",
        "refund           0/3       0       0       $0  2 at turns 2-5",
        "table            3/3       2       1       $0  failed",
        "opening hours    0/3       0       0       $0  waiting",
        "1:15 elapsed, 5 of 12 runs finished, $0.0200 spent, $0.4800 of --max-cost left",
    ]


def test_agents_and_models_are_compared_in_rows() -> None:
    files = [file_of("order", agent="bakery"), file_of("order", agent="cafe")]
    progress = Progress(files, ["gpt-5-mini", "offline"], 2)
    end(progress, play(files[1], 0, model="offline"), "no")
    rows = [line.split()[:4] for line in shown(progress)[:5]]
    assert rows == [
        ["scenario", "agent", "model", "runs"],
        ["order", "bakery", "gpt-5-mini", "0/2"],
        ["order", "bakery", "offline", "0/2"],
        ["order", "cafe", "gpt-5-mini", "0/2"],
        ["order", "cafe", "offline", "1/2"],
    ]


@pytest.mark.parametrize("width", [36, 46, 80, 200])
@pytest.mark.parametrize("height", [8, 24])
def test_a_hundred_scenarios_fit_with_the_running_and_failed_ones_first(width: int, height: int) -> None:
    file = file_of(*(f"{number} calls about an order that did not arrive" for number in range(100)))
    progress = Progress([file], [None], 1)
    for number in range(80):
        end(progress, play(file, number), *["no"] * (number == 70))
    runs = [play(file, number) for number in (90, 95)]
    for run in runs:
        begin(progress, run, turns=3)
    lines = shown(progress, width=width, height=height)
    assert [line.split()[0] for line in lines[1:4]] == ["90", "95", "70"]
    assert "turn 3" in lines[1]
    assert any(line.startswith("and ") and "more rows: " in line for line in lines)


def test_a_narrow_terminal_keeps_the_names_that_tell_rows_apart() -> None:
    unique = Progress([file_of("order", agent="bakery"), file_of("hours", agent="cafe")], [None], 1)
    assert shown(unique, width=50)[0].split() == ["scenario", "runs", "failed", "now"]
    same = Progress([file_of("order", agent="bakery"), file_of("order", agent="cafe")], [None], 1)
    assert shown(same, width=50)[0].split() == ["scenario", "agent", "runs", "failed", "now"]


@pytest.mark.anyio
async def test_the_runs_of_an_evaluation_are_counted_also_resumed_and_skipped_ones(tmp_path: Path) -> None:
    file, agent, path = file_of("order", agent="priced"), priced_agent(), tmp_path / "runs.jsonl"
    [first] = await evaluate(file, agent=agent, ledger=Ledger(path))
    progress = Progress([file], [None], 4)
    ledger = Ledger(path, resume=True, budget=first.spent * 1.5)
    await evaluate(file, agent=agent, repeat=4, concurrency=1, ledger=ledger, progress=progress)
    [row] = progress.rows
    assert (row.total, row.done, row.passed, row.skipped, row.turns) == (4, 2, 2, 2, [])
    assert row.spent == pytest.approx(ledger.spent)
    assert shown(progress)[1].endswith("2 not played")


WAITS = """
import asyncio
from pathlib import Path

from layercode_app import VoiceAgent

agent = VoiceAgent("waits", greeting="Hello.")


@agent.on_message
async def reply(turn):
    print("printed by the agent")
    while turn.text == "wait" and not Path("go").exists():
        await asyncio.sleep(0.01)
    return "Done."
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "waits.py").write_text(WAITS)
    told: dict[str, Any] = {"agent": "waits", "scenarios": []}
    told["scenarios"] += [{"name": "quick", "turns": [{}, {"say": "at once", "expect": {"contains": ["nothing"]}}]}]
    told["scenarios"] += [{"name": "patient", "turns": [{}, {"say": "wait"}]}]
    (tmp_path / "calls.yaml").write_text(json.dumps(told))
    return tmp_path


def test_the_table_moves_on_and_is_gone_when_the_report_is_printed(project: Path) -> None:
    with terminal("eval", "calls.yaml", cwd=project) as opened:
        seen = plain(opened.wait_for("turn 2", "1 of 2 runs finished"))
        assert "printed by the agent\n" in seen
        (project / "go").touch()
        assert opened.wait_for_end() == 1
    table, _, report = opened.screen.rpartition("\x1b[2K")
    assert "\x1b[1A" in table
    assert [line.split()[0] for line in plain(report).splitlines()[:3]] == ["scenario", "quick", "patient"]
    assert "elapsed" not in report
    assert "expected to hear 'nothing'" in plain(report)


@pytest.mark.slow
def test_ctrl_c_removes_the_table_and_names_what_can_be_resumed(project: Path) -> None:
    with terminal("eval", "calls.yaml", cwd=project) as opened:
        opened.wait_for("turn 2", "1 of 2 runs finished")
        opened.press("\x03")
        assert opened.wait_for_end() == 130
        assert "Stopped: 1 of 2 runs finished; --resume plays the others." in plain(
            opened.screen.rpartition("\x1b[2K")[2]
        )
    (project / "go").touch()
    with terminal("eval", "calls.yaml", "--resume", "--json", cwd=project) as opened:
        assert opened.wait_for_end() == 1
        assert "elapsed" not in opened.screen
        told = json.loads(next(line for line in plain(opened.screen).splitlines() if line.startswith("{")))
        assert [one["scenario"] for one in told["runs"]] == ["quick", "patient"]


@pytest.mark.slow
def test_a_dumb_terminal_gets_no_table(project: Path) -> None:
    (project / "go").touch()
    with terminal("eval", "calls.yaml", cwd=project, TERM="dumb") as opened:
        assert opened.wait_for_end() == 1
    assert "elapsed" not in opened.screen

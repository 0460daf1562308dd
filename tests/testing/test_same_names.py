"""Scenarios of one name in several files are reported separately."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from layercode_app.cli.main import app as command

from ..processes import ROOT

PASSES, FAILS = "hello", "impossible words"


def write(path: Path, wanted: str, *, agent: str = "echo", name: str = "same") -> str:
    path.parent.mkdir(exist_ok=True)
    steps = f"[{{say: hello, expect: {{contains: [{wanted}]}}}}]"
    path.write_text(
        f"agent: {agent}\nscenarios: [{{name: {name}, turns: {steps}}}, {{name: {path.stem} only, turns: {steps}}}]"
    )
    return str(path)


def rows(*words: str) -> dict[str, Any]:
    """The passed runs of each scenario, and whether the evaluation passed."""
    done = CliRunner().invoke(command, ["eval", *words, "--agents", str(ROOT / "agents"), "--json"])
    told = json.loads(done.stdout)
    return {f"{row['agent']} {row['scenario']}": row["passed"] for row in told["summary"]} | {"ok": told["ok"]}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_scenarios_of_one_name_in_two_files_are_not_merged() -> None:
    good, bad = write(Path("good.yaml"), PASSES), write(Path("bad.yaml"), FAILS)
    assert rows(good, bad) == {
        "echo good: same": 1, "echo good only": 1, "echo bad: same": 0, "echo bad only": 0, "ok": False,
    }  # fmt: skip
    assert rows(good) == {"echo same": 1, "echo good only": 1, "ok": True}


def test_files_of_one_name_are_told_apart_by_their_folders() -> None:
    good, bad = write(Path("a/calls.yaml"), PASSES), write(Path("b/calls.yaml"), FAILS)
    found = rows(good, bad)
    assert (found["echo a/calls.yaml: same"], found["echo b/calls.yaml: same"]) == (1, 0)


def test_only_scenarios_of_one_agent_are_renamed() -> None:
    one, other = write(Path("one.yaml"), PASSES), write(Path("other.yaml"), FAILS, agent="starter")
    assert {"echo same", "starter same"} < rows(one, other).keys()
    assert {"echo one: same", "echo other: same"} < rows(one, other, "--agent", "echo").keys()


def test_a_baseline_of_separate_evaluations_is_still_compared() -> None:
    good, bad = write(Path("good.yaml"), PASSES), write(Path("bad.yaml"), FAILS)
    assert rows(good, "--save", "base.json")["ok"]
    assert rows(good, "--baseline", "base.json")["ok"]
    assert rows(good, bad, "--save", "both.json")["ok"] is False
    assert rows(good, bad, "--baseline", "both.json")["ok"]
    write(Path("good.yaml"), FAILS)
    assert rows(good, bad, "--baseline", "both.json")["ok"] is False

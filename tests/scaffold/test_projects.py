"""Every kind of project that `new` creates passes the linter, the type checker and its own tests.

A test asserts that a project's Python code depends only on its agent, so the slow checks run once per agent.
test_two_commands.py installs one project in a separate environment. `python -m benchmarks.projects` does that for all.
"""

from __future__ import annotations

import json
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from layercode_app.scaffold.answers import check
from layercode_app.scaffold.render import render
from layercode_app.scaffold.write import write

from ..agents.talking import AGENTS as SHIPPED
from .making import AGENTS, every_choice_of_extras, mypy, mypy_settings, python, run


def project(folder: Path, agent: str, extras: tuple[str, ...] = ()) -> Path:
    answers = check(str(folder), agent=agent, model=None, extras=extras, known_agents=AGENTS)
    write(answers.folder, render(answers, AGENTS[agent], secret="test-secret"))
    return folder


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Create one project without extras for each agent."""
    root = tmp_path_factory.mktemp("projects")
    return {agent: project(root / f"my_{agent}", agent) for agent in AGENTS}


@pytest.mark.slow
def test_every_combination_parses_and_has_the_same_code_as_its_agent(tmp_path: Path) -> None:
    for agent in AGENTS:
        plain: dict[str, str] = {}
        for number, extras in enumerate(every_choice_of_extras()):
            folder = tmp_path / str(number)
            folder.mkdir(exist_ok=True)
            made = project(folder / f"my-{agent}", agent, extras)
            _parse_all(made)
            code = {path.relative_to(made).as_posix(): path.read_text() for path in made.rglob("*.py")}
            plain = plain or code
            assert code == plain
    linted = run([sys.executable, "-m", "ruff", "check", "--no-cache", "."], tmp_path)
    assert linted.returncode == 0, linted.stdout[:2000]


def _parse_all(folder: Path) -> None:
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        text = path.read_text()
        assert "{%" not in text, path
        if path.suffix in (".yaml", ".yml"):
            assert [part for part in yaml.safe_load_all(text) if part], path
        elif path.suffix == ".json":
            json.loads(text)
        elif path.suffix == ".toml":
            tomllib.loads(text)


def test_the_code_is_formatted(projects: dict[str, Path]) -> None:
    root = projects["starter"].parent
    formatted = run([sys.executable, "-m", "ruff", "format", "--no-cache", "--check", "."], root)
    assert formatted.returncode == 0, formatted.stdout


@pytest.mark.slow
def test_the_code_is_typed_strictly(projects: dict[str, Path], tmp_path: Path) -> None:
    """Check a whole project, the agents of all projects, and the shipped agents.

    One run of mypy checks them all, so that it reads the libraries only once.
    """
    whole = projects["starter"]
    settings = mypy_settings(whole)
    assert settings["strict"]
    agents = sorted(whole.parent.glob("*/agents/*.py"))
    others = [path for path in agents if not path.is_relative_to(whole)]
    # Check copies of the shipped agents, because users have copies too. Inside site-packages, mypy would treat the
    # files next to an agent as modules of this package.
    shipped = [shutil.copy(path, tmp_path) for path in sorted(SHIPPED.glob("*.py"))]
    assert len(others) + 1 == len(shipped) == len(AGENTS)
    checked = run([*mypy(), *settings["files"], *others, *shipped], whole)
    assert checked.returncode == 0, checked.stdout[:2000]


@pytest.mark.slow
def test_the_tests_of_every_agent_pass(projects: dict[str, Path], tmp_path: Path) -> None:
    # Copy all agents and tests into one project, and run the tests in one process. This needs different names for all
    # agents.
    for folder in projects.values():
        for part in ("agents", "tests"):
            shutil.copytree(folder / part, tmp_path / part, dirs_exist_ok=True)
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "layercode_app.testing.plugin"]
    command += ["-p", "no:asyncio"]
    result = run(command, tmp_path)
    assert result.returncode == 0, result.stdout[-3000:]
    assert f"{3 * len(projects)} passed" in result.stdout


@pytest.mark.slow
def test_the_scenario_of_every_agent_passes(projects: dict[str, Path]) -> None:
    for folder in projects.values():
        scenarios = [str(path.relative_to(folder)) for path in folder.glob("evals/*.yaml")]
        result = python(["-m", "layercode_app", "eval", *scenarios], folder)
        assert result.returncode == 0, folder.name + result.stdout + result.stderr

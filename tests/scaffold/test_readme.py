"""The README of a new project fits what the user chose: a model or none, a wheel in the project or none, and extras."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from layercode_app.scaffold.answers import check
from layercode_app.scaffold.render import render
from layercode_app.scaffold.vendored_wheel import Wheel
from layercode_app.scaffold.write import write

from ..markdown import blocks_of, commands
from ..support import need_program
from ..test_docs import check_command
from .making import AGENTS, every_choice_of_extras, run

WHEEL = Wheel("layercode_app-0.3.0-py3-none-any.whl", b"a wheel")
FREE = "no account, no key"


def project(folder: Path, model: str | None = None, extras: tuple[str, ...] = (), wheel: Wheel | None = None) -> Path:
    answers = check(str(folder), agent="echo", model=model, extras=extras, known_agents=AGENTS)
    answers = type(answers)(answers.folder, answers.name, answers.agent, answers.model, answers.extras, wheel)
    write(answers.folder, render(answers, AGENTS["echo"], secret="test-secret"))
    return folder


@pytest.mark.parametrize("wheel", [None, WHEEL], ids=["index", "vendored"])
@pytest.mark.slow
def test_its_files_and_commands_exist(tmp_path: Path, wheel: Wheel | None) -> None:
    for number, extras in enumerate(every_choice_of_extras()):
        folder = project(tmp_path / f"mine-{number}", extras=extras, wheel=wheel)
        readme = (folder / "README.md").read_text()
        rows = re.findall(r"^\| (`.+?`) \|", readme, re.MULTILINE)
        named = [path for row in rows for path in re.findall(r"`([^`]+)`", row)]
        assert [path for path in named if not (folder / path).exists()] == []
        targets = set(re.findall(r"^([a-z]+):", (folder / "Makefile").read_text(), re.MULTILINE))
        assert set(re.findall(r"\bmake ([a-z]+)", readme)) <= targets
        for line in re.findall(r"`layercode-create-app ([^`]+)`", readme):
            check_command(line.split())
        shown = [
            words for block in blocks_of("README.md", readme) for words in commands(block) if block.language == "sh"
        ]
        assert {words[0] for words in shown} <= {"make"}


@pytest.mark.parametrize(("model", "free"), [(None, True), ("offline", True), ("groq:some-model", False)])
def test_a_model_needs_a_key(tmp_path: Path, model: str | None, free: bool) -> None:
    folder = project(tmp_path / "mine", model)
    readme, makefile = ((folder / name).read_text() for name in ("README.md", "Makefile"))
    assert (FREE in readme) == free
    assert ("no account" in makefile) == free
    assert ("GROQ_API_KEY" in readme) == (not free)


def test_only_a_project_with_a_wheel_speaks_of_it(tmp_path: Path) -> None:
    for name, wheel in (("plain", None), ("vendored", WHEEL)):
        folder = project(tmp_path / name, extras=("docker", "web"), wheel=wheel)
        texts = {
            path: (folder / path).read_text() for path in ("README.md", "Makefile", "Dockerfile", "pyproject.toml")
        }
        assert [path for path, text in texts.items() if "vendor" in text] == (list(texts) if wheel else [])
        assert ("wheels/" in texts["README.md"]) == (wheel is None)
        assert not [path for path, text in texts.items() if re.search(r"pip install (-\S+ )*layercode-app|uvx", text)]


def _dry(folder: Path, *arguments: str) -> str:
    return run(["make", "--dry-run", *arguments], folder).stdout


def test_make_update_takes_a_release_from_the_index_or_from_a_file(tmp_path: Path) -> None:
    need_program("make")
    plain, vendored = project(tmp_path / "plain"), project(tmp_path / "vendored", wheel=WHEEL)
    assert re.search(r"pip install .*--upgrade layercode-app\n", _dry(plain, "update"))
    assert re.search(r"pip install .*--upgrade --find-links vendor layercode-app\n", _dry(vendored, "update"))
    told = _dry(vendored, "update", "FROM=../new.whl", "ARGS=--dry-run")
    assert re.search(r"pip install .*--upgrade .*\.\./new\.whl\n.*--force-reinstall --no-deps \.\./new\.whl\n", told)
    assert told.endswith("layercode-create-app update --dry-run\n")
    assert f"vendor/{WHEEL.name} --editable ." in told


def test_ports_follow_the_arguments(tmp_path: Path) -> None:
    need_program("make")
    folder = project(tmp_path / "mine", extras=("web",))
    assert "dev --agent mine --port 8001\n" in _dry(folder, "run", "ARGS=--port 8001")
    assert "--directory web 8080\n" in _dry(folder, "web")
    assert "--directory web 8081\n" in _dry(folder, "web", "ARGS=8081")

"""The command `new`: the files it creates, what it refuses, and that it never overwrites."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path

import pytest

from layercode_app import __version__

from ..support import need_program
from .making import AGENTS, ROOT, made, new, run, tree


def test_a_project_has_its_parts_and_says_what_is_next(tmp_path: Path) -> None:
    result = new(tmp_path, "my-agent", "--agent", "bakery", "--yes")
    project = tmp_path / "my-agent"
    assert result.returncode == 0
    assert [line.split("#")[0].strip() for line in result.stdout.splitlines()[1:5]] == [
        "cd my-agent", "make run", "make test", "git add --all && git commit --message 'Create the project'"
    ]  # fmt: skip
    assert tree(project) - {".layercode-app.local"} == {
        ".env", ".env.example", ".gitignore", ".layercode-app.json", "AGENTS.md", "Makefile", "README.md",
        "agents/my_agent.py", "agents/prompts/my_agent.md", "evals/my_agent.yaml",
        "evals/my_agent_simulated.yaml", "layercode.toml", "logs/.gitkeep", "pyproject.toml",
        "tests/__init__.py", "tests/test_my_agent.py",
    }  # fmt: skip
    assert "agent: my_agent\n" in (project / "evals/my_agent_simulated.yaml").read_text()
    assert 'VoiceAgent(\n    "my_agent"' in (project / "agents/my_agent.py").read_text()
    assert __version__ in (project / "AGENTS.md").read_text()


@pytest.mark.slow
def test_the_secret_is_fresh_private_and_ignored_by_git(tmp_path: Path) -> None:
    made(tmp_path, "one")
    made(tmp_path, "two")
    first, second = ((tmp_path / name / ".env").read_text() for name in ("one", "two"))
    assert first.replace("one", "") != second.replace("two", "")
    assert "LAYERCODE_WEBHOOK_SECRET=dev-" in first
    assert stat.S_IMODE((tmp_path / "one/.env").stat().st_mode) == 0o600
    assert ".env" in (tmp_path / "one/.gitignore").read_text().splitlines()
    assert "dev-" not in (tmp_path / "one/.env.example").read_text()


def test_the_answers_are_kept_with_digests_of_the_files(tmp_path: Path) -> None:
    told = made(tmp_path, "mine", "--agent", "echo", "--with", "k8s", "--model", "groq:some-model")
    project = tmp_path / "mine"
    kept = json.loads((project / ".layercode-app.json").read_text())
    assert kept["layercode_app"] == __version__
    assert kept["answers"] == {"name": "mine", "agent": "echo", "model": "groq:some-model", "with": ["docker", "k8s"]}
    for path, digest in kept["files"].items():
        assert hashlib.sha256((project / path).read_bytes()).hexdigest() == digest
    own = {".env", "logs/.gitkeep", "wheels/.gitkeep", ".layercode-app.json", ".layercode-app.local"}
    assert set(kept["files"]) == tree(project) - own
    assert set(told["files"]) == tree(project)
    assert "DEFAULT_MODEL=groq:some-model" in (project / ".env").read_text()
    assert "pydantic-ai-slim[groq]" in (project / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["my agent"], "'my agent'"),
        (["class"], "keyword"),
        (["json"], "standard Python module"),
        (["9lives"], "'9lives'"),
        (["PyTest"], "belongs to a package that the project installs"),
        (["pluggy"], "belongs to a package that the project installs"),
        ([""], "The name '' cannot be used"),
        ([" "], "The name ' ' cannot be used"),
        (["ünï"], "'ünï'"),
        (["Blumen-Läden"], "such as 'blumen-laeden'."),
        (["Café Größe"], "such as 'cafe-groesse'."),
        (["_x"], "'_x'"),
        (["trailing-"], "'trailing-'"),
        (["tests"], "reserved"),
        (["a" * 65], "64"),
        (["taken-folder"], "exists already"),
        (["empty-folder"], "exists already"),
        (["a-file"], "exists already"),
        (["no/such/place"], "is not a folder"),
        (["ok", "--agent", "bakerry"], "Did you mean 'bakery'?"),
        (["ok", "--with", "web,dokcer"], "Did you mean 'docker'?"),
        (["ok", "--model", "gpt"], "PROVIDER:NAME"),
        (["ok", "--model", "nobody:gpt"], "openai"),
        ([], "NAME is missing"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(tmp_path: Path, arguments: list[str], named: str) -> None:
    (tmp_path / "taken-folder").mkdir()
    (tmp_path / "taken-folder/file.txt").write_text("mine")
    (tmp_path / "empty-folder").mkdir()
    (tmp_path / "a-file").write_text("mine")
    before = {*tmp_path.rglob("*")}
    result = new(tmp_path, *arguments, "--yes")
    assert result.returncode == 2, result.stdout
    assert named in result.stderr
    assert "Traceback" not in result.stderr
    assert {*tmp_path.rglob("*")} == before


@pytest.mark.slow
def test_a_folder_whose_name_cannot_be_that_of_a_project_is_explained(tmp_path: Path) -> None:
    (folder := tmp_path / "Mein Büro").mkdir()
    result = new(folder, ".", "--yes")
    assert result.returncode == 2, result.stdout
    told = " ".join(result.stderr.split())
    assert "The name of this folder would be the name of the project. The name 'Mein Büro' cannot be used" in told
    assert "such as 'mein-buero'." in told
    assert list(folder.iterdir()) == []


def test_it_works_in_a_folder_that_has_other_things_and_never_overwrites(tmp_path: Path) -> None:
    here = tmp_path / "my-place"
    here.mkdir()
    (here / "notes.txt").write_text("mine")
    (here / "README.md").write_text("mine")
    refused = new(here, ".", "--yes")
    assert refused.returncode == 2
    assert "README.md" in refused.stderr
    assert tree(here) == {"notes.txt", "README.md"}

    (here / "README.md").unlink()
    assert new(here, ".", "--yes").returncode == 0
    assert (here / "agents/my_place.py").is_file()
    again = new(here, ".", "--yes")
    assert again.returncode == 2
    assert "agents/my_place.py" in again.stderr


def test_a_file_where_a_folder_must_be_is_in_the_way(tmp_path: Path) -> None:
    here = tmp_path / "place"
    here.mkdir()
    (here / "agents").write_text("a file")
    result = new(here, ".", "--yes")
    assert result.returncode == 2
    assert tree(here) == {"agents"}


@pytest.mark.slow
def test_a_dry_run_says_what_it_would_write_and_writes_nothing(tmp_path: Path) -> None:
    result = new(tmp_path, "maybe", "--with", "web", "--dry-run", "--yes")
    assert result.returncode == 0
    assert "web/widget.js" in result.stdout
    assert not list(tmp_path.iterdir())
    assert made(tmp_path, "maybe", "--dry-run")["written"] is False
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_options_are_listed_for_people_and_programs(tmp_path: Path) -> None:
    shown = new(tmp_path, "--list-options").stdout
    assert all(word in shown for word in [*AGENTS, "web", "docker", "k8s", "github", "redis", "postgres"])
    told = json.loads(new(tmp_path, "--list-options", "--json").stdout)
    assert set(told["agents"]) == set(AGENTS)
    assert set(told["with"]) == {"web", "docker", "k8s", "github", "redis", "postgres"}


@pytest.mark.slow
def test_who_waits_for_what_is_installed_is_told_so(tmp_path: Path) -> None:
    need_program("make")
    made(tmp_path, "mine")
    for folder, time in ((tmp_path / "mine", "a minute or two"), (ROOT, "about a minute")):
        told = run(["make", "--dry-run", "test", "VENV=nowhere"], folder)
        assert f"Installing into nowhere: {time}" in told.stdout, told.stderr

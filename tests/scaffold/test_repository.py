"""`new` creates a git repository where there is none."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from ..support import need_program
from .making import python

NEW = ["-m", "layercode_app", "new", "mine", "--no-vendor", "--yes"]
COMMIT = "git add --all && git commit --message 'Create the project'"


@pytest.fixture
def above(tmp_path: Path) -> dict[str, str]:
    """Return environment variables that limit git's search for a repository.

    Started below `tmp_path`, git looks for a repository neither in `tmp_path` nor above it.
    """
    need_program("git")
    return {"GIT_CEILING_DIRECTORIES": str(tmp_path)}


def test_a_project_outside_of_repositories_becomes_one(tmp_path: Path, above: dict[str, str]) -> None:
    told = python(NEW, tmp_path, **above)
    assert told.returncode == 0, told.stderr
    assert f"  {COMMIT}\n" in told.stdout
    status = subprocess.run(
        ["git", "status", "--short"], cwd=tmp_path / "mine", capture_output=True, text=True, check=True
    ).stdout
    assert "?? Makefile" in status
    assert ".env\n" not in status, "the secret is ignored"


def test_a_project_inside_of_a_repository_is_a_part_of_it(tmp_path: Path, above: dict[str, str]) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    told = python([*NEW, "--git"], tmp_path, **above)
    assert told.returncode == 0, told.stderr
    assert not (tmp_path / "mine/.git").exists()


@pytest.mark.parametrize("argument", ["--no-git", "--dry-run"])
@pytest.mark.slow
def test_it_is_not_created_when_it_must_not_be(tmp_path: Path, above: dict[str, str], argument: str) -> None:
    told = python([*NEW, argument], tmp_path, **above)
    assert told.returncode == 0, told.stderr
    assert not list(tmp_path.rglob(".git"))


@pytest.mark.slow
def test_without_git_there_is_a_project_but_git_cannot_be_asked_for(tmp_path: Path, above: dict[str, Any]) -> None:
    nowhere = above | {"PATH": str(tmp_path)}
    refused = python([*NEW, "--git"], tmp_path, **nowhere)
    assert refused.returncode == 2
    assert "git is not installed. Install it, or use --no-git." in refused.stderr
    assert not list(tmp_path.iterdir())
    told = python(NEW, tmp_path, **nowhere)
    assert told.returncode == 0, told.stderr
    assert f"{COMMIT} # run git init first" in told.stdout

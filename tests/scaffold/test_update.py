"""`update` on projects of an older release, with and without git, and with and without changes by the owner."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

import pytest

from layercode_app import __version__
from layercode_app.scaffold.answers import check
from layercode_app.scaffold.kept import ANSWERS_FILE, Kept, keep
from layercode_app.scaffold.render import OWN, File, render
from layercode_app.scaffold.write import write

from ..support import need_program
from .making import AGENTS, python, tree
from .test_wizard import converse

Change = Callable[[str], str | None]


def older(folder: Path, changes: Mapping[str, Change], *, extras: tuple[str, ...] = (), agent: str = "echo") -> Path:
    """Create a project of the old release 0.2.9, whose templates are made from today's templates by `changes`.

    A change gets today's text of a file and returns the old text. None means that the release did not have the file.
    """
    answers = check(str(folder), agent=agent, model=None, extras=extras, known_agents=AGENTS)
    texts = {str(file.path): file.text for file in render(answers, AGENTS[agent], secret="test-secret")}
    texts.pop(ANSWERS_FILE)
    for path, change in changes.items():
        changed = change(texts.pop(path, ""))
        if changed is not None:
            texts[path] = changed
    kept = keep(answers, {path: text for path, text in texts.items() if path not in OWN})
    texts[ANSWERS_FILE] = kept.model_copy(update={"layercode_app": "0.2.9"}).to_json()
    write(answers.folder, [File(PurePosixPath(path), text) for path, text in texts.items()])
    return folder


def update(folder: Path, *arguments: str, code: int = 0) -> dict[str, str]:
    """Run `update --json`, and return its action for each file."""
    result = python(["-m", "layercode_app", "update", *arguments, "--json"], folder)
    assert result.returncode == code, result.stdout + result.stderr
    told = json.loads(result.stdout)
    assert told["to"] == __version__
    return {file["path"]: file["action"] for file in told["files"]}


def git(folder: Path, *arguments: str) -> None:
    need_program("git")
    who = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def committed(folder: Path) -> Path:
    git(folder, "init", "-q")
    git(folder, "add", "--all")
    git(folder, "commit", "-q", "-m", "As it was made")
    return folder


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


OLD_TEMPLATES: dict[str, Change] = {
    "Makefile": lambda text: text.replace("clean: ##", "tidy: ##"),
    "README.md": lambda text: text.replace("A voice agent", "An older voice agent"),
    "layercode.toml": lambda text: None,
    "setup.cfg": lambda text: "[gone]\n",
    "notes.cfg": lambda text: "[gone]\n",
}


@pytest.mark.slow
def test_untouched_files_are_replaced_and_those_of_the_owner_stay(tmp_path: Path) -> None:
    folder = older(tmp_path / "mine", OLD_TEMPLATES)
    (folder / "AGENTS.md").unlink()
    (folder / ".env").write_text("LAYERCODE_WEBHOOK_SECRET=test-own\n")
    (folder / "notes.cfg").write_text("mine\n")
    (folder / "pyproject.toml").write_text((folder / "pyproject.toml").read_text() + "# mine\n")
    readme = (folder / "README.md").read_text() + "\nMine.\n"
    (folder / "README.md").write_text(readme)

    expected = {
        "Makefile": "change",
        "README.md.new": "beside",
        "layercode.toml": "add",
        "notes.cfg": "keep",
        "setup.cfg": "remove",
    }
    before = tree(folder)
    assert update(folder, "--dry-run", code=1) == expected, "it ends as the update would"
    assert update(folder, "--check", code=1) == expected
    assert tree(folder) == before, "a dry run writes nothing"

    assert update(folder, code=1) == expected
    assert tree(folder) == (before | {"README.md.new", "layercode.toml"}) - {"setup.cfg"}
    assert "clean: ##" in (folder / "Makefile").read_text()
    assert (folder / "README.md").read_text() == readme
    assert "\nA voice agent" in (folder / "README.md.new").read_text()
    assert (folder / ".env").read_text() == "LAYERCODE_WEBHOOK_SECRET=test-own\n"
    assert Kept.model_validate_json((folder / ANSWERS_FILE).read_text()).layercode_app == __version__

    assert update(folder) == {}, "what was offered once is not offered again"
    assert "Up to date" in python(["-m", "layercode_app", "update"], folder).stdout


@pytest.mark.slow
def test_with_git_both_changes_are_merged_release_after_release(tmp_path: Path) -> None:
    folder = older(tmp_path / "mine", OLD_TEMPLATES)
    answers = folder / ANSWERS_FILE
    committed(folder)
    _edit(folder / "README.md", "## A model", "## My model")
    _edit(folder / "Makefile", "tidy: ## Remove", "neat: ## Remove")
    steps = update(folder, code=1)
    assert steps["README.md"] == "merge"
    assert steps["Makefile.new"] == "beside", "both changed the same line"
    merged = (folder / "README.md").read_text()
    assert "\nA voice agent" in merged
    assert "## My model" in merged
    assert update(folder) == {}

    # Act as if the next release changed another line. The file is merged again, with the same base as before.
    kept = Kept.model_validate_json(answers.read_text())
    assert "README.md" in kept.merge_from
    changed = kept.model_copy(update={"files": kept.files | {"README.md": "0" * 64}})
    answers.write_text(changed.to_json())
    _edit(folder / "README.md", "\nA voice agent", "\nAn older voice agent")
    assert update(folder) == {"README.md": "merge"}
    assert (folder / "README.md").read_text() == merged


@pytest.mark.slow
def test_extras_are_added_later(tmp_path: Path) -> None:
    folder = older(tmp_path / "mine", {})
    (folder / "compose.yaml").write_text("mine: true\n")
    steps = update(folder, "--with", "docker", code=1)
    assert steps.items() >= {
        "Dockerfile": "add", "wheels/.gitkeep": "add", "Makefile": "change", "compose.yaml.new": "beside"
    }.items()  # fmt: skip
    assert (folder / "compose.yaml").read_text() == "mine: true\n"
    assert Kept.model_validate_json((folder / ANSWERS_FILE).read_text()).answers.extras == ("docker",)
    assert "image: $(INSTALLED)" in (folder / "Makefile").read_text()
    again = update(folder, "--with", "redis", code=1)
    assert again.items() >= {"pyproject.toml": "change", "compose.yaml.new": "beside"}.items()
    assert "redis:" in (folder / "compose.yaml.new").read_text()


def test_it_shows_the_difference(tmp_path: Path) -> None:
    folder = older(tmp_path / "mine", OLD_TEMPLATES)
    shown = python(["-m", "layercode_app", "update", str(folder), "--dry-run"], tmp_path).stdout
    assert "-tidy: ## Remove" in shown
    assert "+clean: ## Remove" in shown
    assert f"From 0.2.9 to {__version__}:" in shown


@pytest.mark.slow
def test_on_a_terminal_it_asks_first(tmp_path: Path) -> None:
    folder = older(tmp_path / "mine", OLD_TEMPLATES)
    before = (folder / "Makefile").read_text()
    code, shown = converse(folder, [], ["n"], command="update")
    assert code == 1, shown
    assert "+clean: ## Remove" in shown
    assert (folder / "Makefile").read_text() == before
    code, shown = converse(folder, [], ["y"], command="update")
    assert code == 0, shown
    assert (folder / "Makefile").read_text() != before


def _answers(**changes: object) -> str:
    told = {"layercode_app": "0.2.9", "answers": {"name": "mine", "agent": "echo", "model": None, "with": []}}
    return json.dumps({**told, "files": {}, **changes})


@pytest.mark.parametrize(
    ("answers", "named"),
    [
        (None, "does not exist"),
        ("{", "Restore it"),
        ('{"answers": 1}', "Restore it"),
        (_answers(layercode_app="99.0"), "99.0"),
        (_answers(answers={"name": "../up", "agent": "echo"}), "'../up'"),
        (_answers(answers={"name": "mine", "agent": "gone"}), "'gone'"),
        (_answers(answers={"name": "mine", "agent": "echo", "with": ["wbe"]}), "Did you mean 'web'?"),
    ],
)
def test_what_cannot_be_updated_is_refused_and_nothing_is_written(
    tmp_path: Path, answers: str | None, named: str
) -> None:
    if answers is not None:
        (tmp_path / ANSWERS_FILE).write_text(answers)
    before = tree(tmp_path)
    result = python(["-m", "layercode_app", "update"], tmp_path)
    assert result.returncode == 2, result.stdout
    assert named in result.stderr
    assert "Traceback" not in result.stderr
    assert tree(tmp_path) == before


def test_nothing_outside_of_the_project_is_touched(tmp_path: Path) -> None:
    folder = older(tmp_path / "mine", OLD_TEMPLATES)
    outside = tmp_path / "outside.txt"
    outside.write_text("[gone]\n")
    kept = Kept.model_validate_json((folder / ANSWERS_FILE).read_text())
    stated = kept.files | {"../outside.txt": kept.files["setup.cfg"]}
    (folder / ANSWERS_FILE).write_text(kept.model_copy(update={"files": stated}).to_json())
    (folder / "Makefile").rename(tmp_path / "Makefile")
    (folder / "Makefile").symlink_to(tmp_path / "Makefile")
    steps = update(folder, code=1)
    assert steps["../outside.txt"] == "keep"
    assert outside.read_text() == "[gone]\n"
    assert steps["Makefile.new"] == "beside"
    assert "tidy" in (tmp_path / "Makefile").read_text()


def test_where_a_file_cannot_be_written_the_project_is_as_it_was(tmp_path: Path) -> None:
    folder = older(tmp_path / "mine", {"Makefile": OLD_TEMPLATES["Makefile"], "web/index.html": lambda text: None})
    (folder / "web").write_text("a file where a folder must be\n")
    before = {path: (folder / path).read_text() for path in tree(folder)}
    result = python(["-m", "layercode_app", "update", "--with", "web"], folder)
    assert result.returncode == 2
    assert "The project was not changed" in result.stderr
    assert {path: (folder / path).read_text() for path in tree(folder)} == before

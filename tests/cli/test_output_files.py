"""A file that cannot be written is an error before the command starts; no finished run is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from layercode_app.cli.main import app, exit_code
from layercode_app.exceptions import ConfigurationError
from layercode_app.output.files import why_unwritable, write_file

from ..permissions import OBEYING, needs_permissions

COMMANDS = [
    "eval nothing.yaml --html {}",
    "eval nothing.yaml --junit {}",
    "eval nothing.yaml --save {}",
    "bench nobody --html {}",
    "profile nobody --html {}",
    "check localhost:1 --junit {}",
    "report --html {}",
    "replay conversation --promote {}",
    "platform recording session -o {}",
]
MAKE_FOLDERS = ["sessions export -o {}", "journal export -o {}", "sessions review conversation --bad --scenario {}"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def refused(command: str, path: str) -> str:
    """Run a command that must refuse to write to the path, and return its output in one line."""
    result = CliRunner().invoke(app, command.format(path).split(), env={"TERMINAL_WIDTH": "200"})
    assert result.exit_code == 2, result.output
    return " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_folder_is_refused_before_the_start(command: str) -> None:
    assert (
        "missing/out cannot be written: the folder missing does not exist. Create it with: mkdir -p missing"
        in refused(command, "missing/out")
    )


@pytest.mark.parametrize("command", [*COMMANDS, *MAKE_FOLDERS])
def test_a_folder_in_place_of_the_file_is_refused_before_the_start(command: str, folder: Path) -> None:
    (folder / "taken").mkdir()
    assert "taken cannot be written: it is a folder; expected a file" in refused(command, "taken")


@pytest.mark.parametrize("command", MAKE_FOLDERS)
def test_a_file_in_place_of_the_folder_is_refused_before_the_start(command: str, folder: Path) -> None:
    (folder / "file").write_text("")
    assert "file is not a folder" in refused(command, "file/new/out")


def test_a_path_that_can_be_written_is_taken(folder: Path) -> None:
    assert why_unwritable(folder / "new") == ""
    assert why_unwritable(Path("new")) == ""
    assert why_unwritable(Path("/dev/null")) == ""
    assert why_unwritable(folder / "one" / "two" / "new", in_new_folder=True) == ""


def test_missing_folders_are_created_if_the_command_asks_for_it(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="out cannot be written: No such file or directory"):
        write_file(Path("one/two/out"), "text")
    write_file(Path("one/two/out"), "text", in_new_folder=True)
    assert Path("one/two/out").read_text() == "text"


@needs_permissions
def test_a_folder_without_permission_is_refused(folder: Path) -> None:
    (folder / "old").write_text("")
    (folder / "old").chmod(0o400)
    folder.chmod(0o500)
    code = "from pathlib import Path; from layercode_app.output.files import why_unwritable as why; "
    code += "print(why(Path('new'))); print(why(Path('old')))"
    done = subprocess.run([*OBEYING, sys.executable, "-c", code], capture_output=True, text=True, check=True)
    folder.chmod(0o700)
    assert done.stdout.splitlines() == [
        "new cannot be written: you have no permission to write in its folder. Choose another path.",
        "old cannot be written: you have no permission to write to this file. Choose another path.",
    ]


def test_a_disk_that_fills_up_afterwards_is_an_error_after_the_results_are_shown(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="/dev/full cannot be written: No space left on device"):
        write_file(Path("/dev/full"), "text")
    (folder / "calls.yaml").write_text(
        json.dumps({"agent": "echo", "scenarios": [{"name": "a", "turns": [{"say": "a"}]}]})
    )
    result = CliRunner().invoke(app, ["eval", "calls.yaml", "--json", "--html", "/dev/full"])
    assert json.loads(result.stdout)["ok"]
    assert isinstance(result.exception, ConfigurationError)
    assert exit_code(result.exception) == 2


def test_a_wrong_baseline_is_refused_before_anything_is_played(folder: Path) -> None:
    (folder / "calls.yaml").write_text(
        json.dumps({"agent": "nobody", "scenarios": [{"name": "a", "turns": [{"say": "a"}]}]})
    )
    result = CliRunner().invoke(app, ["eval", "calls.yaml", "--baseline", "none.json"])
    assert isinstance(result.exception, ConfigurationError)
    assert "--baseline none.json: expected a file written by --save" in str(result.exception)

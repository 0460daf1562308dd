"""`run`, `dev` and `doctor` warn if the older distribution is also installed, because its command has the same name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ..ports import free_port
from ..processes import ROOT, command, listening, run

SAID = "layercode-create-app 0.2.0, the predecessor of layercode-app, is installed too"


@pytest.fixture
def older(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that finds the older distribution on its path."""
    folder = tmp_path / "site" / "layercode_create_app-0.2.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: layercode-create-app\nVersion: 0.2.0\n")
    return {"PYTHONPATH": os.pathsep.join([str(ROOT), str(folder.parent)])}


def test_doctor_warns_of_it(older: dict[str, str], tmp_path: Path) -> None:
    _, printed = run("doctor", "--offline", cwd=tmp_path, COLUMNS="300", env=older)
    assert SAID in printed, printed
    assert "pip uninstall layercode-create-app" in printed
    _, printed = run("doctor", "--offline", cwd=tmp_path)
    assert "0.2.0" not in printed


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["run", "dev"])
async def test_a_server_says_it_as_it_starts(name: str, older: dict[str, str], tmp_path: Path) -> None:
    port = free_port()
    env = {"LAYERCODE_WEBHOOK_SECRET": "test-secret", "HOST": "127.0.0.1", **older}
    async with command(name, "--agent", "echo", "--port", str(port), cwd=tmp_path, env=env) as process:
        await listening(f"http://127.0.0.1:{port}", process)
    assert (tmp_path / "output.txt").read_text().count(SAID) == 1

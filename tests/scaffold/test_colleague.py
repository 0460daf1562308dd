"""A colleague can check out a project and run its tests. Nothing from the machine that created it is needed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from layercode_app import __version__

from ..support import need_distribution, need_program
from .making import clean, made
from .test_update import committed, git


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_make_test_passes_in_the_checkout_of_a_colleague(tmp_path: Path) -> None:
    """The colleague's checkout is the only copy of the project. No package index has this version of the package."""
    need_program("make")
    need_distribution("layercode-app")
    told = made(tmp_path, "my-agent", "--agent", "bakery", "--vendor")
    assert told["vendored"] == f"vendor/layercode_app-{__version__}-py3-none-any.whl"
    committed(tmp_path / "my-agent")
    colleague = tmp_path / "elsewhere/checkout"
    colleague.parent.mkdir()
    git(tmp_path, "clone", "--quiet", "--no-local", str(tmp_path / "my-agent"), str(colleague))
    shutil.rmtree(tmp_path / "my-agent")
    assert not (colleague / ".env").exists()

    tested = subprocess.run(
        ["make", "test", f"PYTHON={sys.executable}"],
        cwd=colleague, env=clean(), capture_output=True, text=True, check=False, timeout=800,
    )  # fmt: skip
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert re.search(r"\d passed", tested.stdout)
    asked = [str(colleague / ".venv/bin/python"), "-c", "import layercode_app; print(layercode_app.__file__)"]
    place = subprocess.run(asked, cwd=colleague, env=clean(), capture_output=True, text=True, check=True).stdout.strip()
    assert Path(place).is_relative_to(colleague / ".venv"), "it runs the wheel, not the sources beside it"

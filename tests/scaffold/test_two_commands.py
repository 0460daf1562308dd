"""A project's two commands work in a separate environment with this package's wheel and its resolved dependencies."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from ..ports import free_port
from ..processes import START_SECONDS
from ..support import need_program
from .making import ROOT, clean, made, run

PARTS = (
    "layercode_app", "agents", "docs", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md",
    ".env.example",
)  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This package, built from a copy of its sources."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for part in PARTS:
        here = ROOT / part
        shutil.copytree(here, copy / part) if here.is_dir() else shutil.copy(here, copy)
    built = run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)], copy)
    assert built.returncode == 0, built.stderr
    return next(out.glob("*.whl"))


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.timeout(900)
def test_make_test_and_make_run_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    need_program("make")
    made(tmp_path, "my-agent", "--agent", "bakery", "--with", "docker")
    project = tmp_path / "my-agent"
    (project / ".layercode-app.local").write_text(f"layercode-app @ {wheel.as_uri()}\n")
    environment = clean()

    tested = subprocess.run(
        ["make", "test", f"PYTHON={sys.executable}"],
        cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert re.search(r"\d passed", tested.stdout)
    assert "layercode_app" not in {path.name for path in project.iterdir()}

    imaged = subprocess.run(
        ["make", "image", "DOCKER=echo"],
        cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert "build --tag my-agent ." in imaged.stdout, imaged.stderr
    assert [path.name for path in project.glob("wheels/*.whl")] == [wheel.name], "the image has the same version"

    port = free_port()
    command = ["make", "run", f"ARGS=--port {port}"]
    with (tmp_path / "run.txt").open("w") as output:
        running = subprocess.Popen(
            command, cwd=project, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        assert _answers(f"http://127.0.0.1:{port}/health", running), (tmp_path / "run.txt").read_text()
        webhook, secret = f"http://127.0.0.1:{port}/api/agent", _secret(project)
        chat = [str(project / ".venv/bin/layercode-create-app"), "chat", "--url", webhook, "--secret", secret]
        said = subprocess.run(
            [*chat, "--say", "Two croissants", "--json"],
            cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=100,
        )  # fmt: skip
        assert "4 euros 80" in said.stdout, said.stderr
    finally:
        os.killpg(running.pid, signal.SIGTERM)
        running.wait(timeout=100)


def _secret(project: Path) -> str:
    found = re.search(r"^LAYERCODE_WEBHOOK_SECRET=(.+)$", (project / ".env").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return httpx.get(url).status_code == 200
        except httpx.TransportError:
            time.sleep(0.1)
    return False

"""A project contains this package's wheel when the machine's package index does not have the version."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any
from zipfile import ZipFile

import pytest

from layercode_app import __version__
from layercode_app.scaffold import package_index, vendored_wheel
from layercode_app.scaffold.kept import ANSWERS_FILE
from layercode_app.scaffold.source import local_source
from layercode_app.scaffold.vendoring import Vendoring, choose

from ..ports import free_port
from ..support import need_distribution
from .making import ROOT, python, tree
from .test_update import older, update

NAME = f"layercode_app-{__version__}-py3-none-any.whl"
WHEEL = f"vendor/{NAME}"


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    """Skip these tests if this package is not installed: the metadata of the wheel comes from the installation."""
    need_distribution("layercode-app")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def index(folder: Path) -> Iterator[str]:
    """Serve the files of `folder` as a package index, and yield its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def listed(folder: Path, *names: str) -> Path:
    """Write the index page of this package, with links to these files. Return the folder."""
    page = folder / "layercode-app" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("".join(f'<a href="{name}">{name}</a>' for name in names))
    return folder


def only(url: str) -> dict[str, str]:
    """Return the environment variables with which `url` is the only package index."""
    of_pip = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": url, "PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": ""}
    return of_pip | {"UV_NO_CONFIG": "1", "UV_DEFAULT_INDEX": url, "UV_INDEX": "", "UV_FIND_LINKS": ""}


def chosen(monkeypatch: pytest.MonkeyPatch, url: str) -> Vendoring:
    """Return what `new` chooses with the index at `url`.

    The timeouts are long, because the installer may start slowly on a busy machine.
    """
    monkeypatch.setattr(package_index, "SECONDS", 60)
    monkeypatch.setattr(package_index, "ALL_SECONDS", 250)
    for name, value in only(url).items():
        monkeypatch.setenv(name, value)
    return choose(None)


@pytest.mark.slow
def test_a_version_that_the_index_does_not_have_is_vendored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with index(listed(tmp_path, "layercode_app-0.0.1-py3-none-any.whl")) as url:
        found = chosen(monkeypatch, url)
    assert found.wheel is not None
    assert f"does not have layercode-app {__version__}, so vendor/ contains its wheel. Commit it" in found.why


def test_a_package_that_the_index_does_not_have_is_vendored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with index(tmp_path) as url:
        found = chosen(monkeypatch, url)
    assert found.wheel is not None
    assert "does not have" in found.why


def test_a_version_that_the_index_has_is_installed_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with index(listed(tmp_path, "layercode_app-0.0.1-py3-none-any.whl", NAME)) as url:
        assert chosen(monkeypatch, url) == Vendoring(None, "")


def test_an_index_that_cannot_be_reached_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found = chosen(monkeypatch, f"http://127.0.0.1:{free_port()}/")
    assert found.wheel is not None
    assert "could not be asked" in found.why
    assert "onnection refused" in found.why


def test_an_index_that_does_not_answer_in_time_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_index, "ALL_SECONDS", 0.01)
    answer = package_index.ask(__version__)
    assert answer == package_index.Answer(False, "no answer within 0.01 s")


@pytest.mark.slow
def test_a_new_project_contains_the_wheel(tmp_path: Path) -> None:
    command = ["-m", "layercode_app", "new", "mine", "--with", "docker", "--no-git", "--json"]
    result = python(command, tmp_path, **only(f"http://127.0.0.1:{free_port()}/"))
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["vendored"] == WHEEL
    assert "so vendor/ contains its wheel" in told["why"]
    project = tmp_path / "mine"
    assert tree(project) == set(told["files"])
    assert ".layercode-app.local" not in told["files"], "nothing in it is of this machine alone"
    assert "wheels/.gitkeep" not in told["files"]
    assert "vendor/*.whl" in (project / "Dockerfile").read_text()
    assert "!vendor" in (project / ".dockerignore").read_text().splitlines()
    kept = json.loads((project / ANSWERS_FILE).read_text())
    assert kept["answers"]["vendor"] is True
    assert WHEEL not in kept["files"]


def _contents(archive: Path | BytesIO) -> dict[str, bytes]:
    """Return the files of a wheel, except the files that name the build tool."""
    with ZipFile(archive) as wheel:
        assert wheel.testzip() is None
        names = [name for name in wheel.namelist() if not name.endswith((".dist-info/WHEEL", ".dist-info/RECORD"))]
        return {name: wheel.read(name) for name in names}


def test_the_wheel_has_what_the_build_puts_into_it(tmp_path: Path) -> None:
    if (built := os.environ.get("LAYERCODE_WHEEL")) is None:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        built = str(next(tmp_path.glob("*.whl")))
    wheel = vendored_wheel.build()
    ours, theirs = _contents(BytesIO(wheel.content)), _contents(Path(built))
    # The metadata comes from the installation, so a README that was edited since is not in it.
    metadata = next(name for name in ours if name.endswith("/METADATA"))
    assert ours.pop(metadata).startswith(b"Metadata-Version:")
    assert theirs.pop(metadata)
    assert ours == theirs
    assert wheel == vendored_wheel.build(), "the same files make the same wheel"


@pytest.mark.slow
def test_pip_installs_the_wheel_without_an_index(tmp_path: Path) -> None:
    wheel = vendored_wheel.build()
    (tmp_path / wheel.name).write_bytes(wheel.content)
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(target)]
    done = subprocess.run([*pip, str(tmp_path / wheel.name)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = python(["-m", "layercode_app", "--version"], tmp_path, PYTHONPATH=str(target))
    assert said.stdout.strip() == f"layercode-app {__version__}"


@pytest.mark.slow
def test_update_puts_the_wheel_in_renews_it_and_removes_it(tmp_path: Path) -> None:
    folder = older(tmp_path / "mine", {})
    steps = update(folder, "--vendor")
    assert steps[WHEEL] == "add"
    assert steps["Makefile"] == steps["pyproject.toml"] == "change"
    assert not (folder / ".layercode-app.local").exists()
    assert update(folder) == {}

    previous = folder / "vendor/layercode_app-0.2.9-py3-none-any.whl"
    (folder / WHEEL).rename(previous)
    assert update(folder, "--check", code=1) == {WHEEL: "add", f"vendor/{previous.name}": "remove"}
    assert update(folder) == {WHEEL: "add", f"vendor/{previous.name}": "remove"}
    assert tree(folder / "vendor") == {NAME}

    (folder / WHEEL).write_bytes(b"not a wheel")
    assert update(folder) == {WHEEL: "change"}
    assert _contents(folder / WHEEL)

    (folder / "vendor/notes.txt").write_text("mine")
    assert update(folder, "--no-vendor")[WHEEL] == "remove"
    assert tree(folder / "vendor") == {"notes.txt"}
    assert update(folder) == {}


@pytest.mark.slow
def test_update_says_that_a_project_needs_this_machine(tmp_path: Path) -> None:
    folder = older(tmp_path / "mine", {})
    assert ("`update --vendor`" in _told(folder)) == (local_source() is not None)
    assert "`update --vendor`" not in _told(folder, "--vendor", "--yes")
    assert _told(folder).strip() == f"Up to date with {__version__}."


def _told(folder: Path, *arguments: str) -> str:
    result = python(["-m", "layercode_app", "update", *arguments], folder)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_what_is_in_vendor_of_a_project_without_our_wheel_stays(tmp_path: Path) -> None:
    folder = older(tmp_path / "mine", {"Makefile": lambda text: text.replace("clean: ##", "tidy: ##")})
    (folder / "vendor").mkdir()
    (folder / WHEEL).write_text("mine")
    assert update(folder) == {"Makefile": "change"}
    assert (folder / WHEEL).read_text() == "mine"

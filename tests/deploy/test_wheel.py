"""The wheel installs and starts without a network on every installed Python version that the project supports."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from zipfile import ZipFile

import pytest

import layercode_app

from ..processes import clean_environment

ROOT = Path(__file__).parent.parent.parent
SUPPORTED = ("3.11", "3.12", "3.13", "3.14")


def _works(program: str | None, version: str) -> bool:
    if program is None:
        return False
    said = subprocess.run([program, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
                          capture_output=True, text=True, check=False)  # fmt: skip
    return said.returncode == 0 and said.stdout.strip() == version


def _pythons() -> dict[str, str]:
    """Return the Python of each supported version, from the path or from pyenv, and the Python that runs the tests."""
    there: dict[str, str] = {}
    for version in SUPPORTED:
        installed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
        candidates = [shutil.which(f"python{version}"), *map(str, installed)]
        working = [program for program in candidates if _works(program, version)]
        there |= {version: str(working[0])} if working else {}
    major, minor = sys.version_info[:2]
    return there | {f"{major}.{minor}": sys.executable}


PYTHONS = _pythons()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("the tests run on an installed wheel, without the sources it is built from")
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
                          cwd=ROOT, capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def test_the_links_of_the_documentation_work_in_the_package(wheel: Path, tmp_path: Path) -> None:
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    package = tmp_path / "layercode_app"
    there = sorted([*package.glob("*.md"), *(package / "docs").glob("*.md")])
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    assert {page.relative_to(package) for page in there} == {page.relative_to(ROOT) for page in pages}
    links = [(page, link) for page in there for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))]
    local = [(page, link) for page, link in links if "://" not in link]
    assert len(local) > 30
    assert [f"{page.name}: {link}" for page, link in local if not (page.parent / link).exists()] == []


@pytest.mark.slow
@pytest.mark.parametrize("version", PYTHONS)
def test_the_wheel_installs_offline_compiles_and_starts(wheel: Path, version: str, tmp_path: Path) -> None:
    def run(*command: str | Path, **env: str) -> str:
        done = subprocess.run([str(part) for part in command], cwd=tmp_path, capture_output=True, text=True,
                              check=False, env=clean_environment(**env))  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    venv, python = tmp_path / "venv", tmp_path / "venv/bin/python"
    run(PYTHONS[version], "-m", "venv", "--without-pip", venv)
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", python)
    run(*pip, "install", "--no-index", "--no-deps", wheel)
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", PYTHONPATH="").strip()
    run(python, "-W", "error", "-m", "compileall", "-q", "-f", Path(site) / "layercode_app")
    # The libraries that --help needs are pure Python. So the copies in the tests' environment work with every version.
    shared = sysconfig.get_path("purelib")
    said = run(venv / "bin/layercode-create-app", "--version", PYTHONPATH=f"{site}:{shared}")
    assert said.strip() == f"layercode-app {layercode_app.__version__}"
    assert "doctor" in run(venv / "bin/layercode-app", "--help", PYTHONPATH=f"{site}:{shared}")

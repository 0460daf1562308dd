"""Make projects through the command line, and run what is in them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from layercode_app.agent.shipped import BUILT_IN
from layercode_app.scaffold.options import EXTRAS, STORES, templates

from .. import forked

ROOT = Path(__file__).parent.parent.parent
CACHE = Path(os.environ.get("MYPY_CACHE_DIR", ROOT / ".mypy_cache"))
"""Mypy's cache, which `make lint` fills with libraries that projects need too."""
AGENTS = templates(next(folder for folder in BUILT_IN if folder.is_dir()))


def run(command: Sequence[str | Path], cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program without the settings of this process."""
    return subprocess.run(
        command, cwd=cwd, env=_environment(environment), capture_output=True, text=True, check=False, timeout=300
    )


def python(arguments: Sequence[str | Path], cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the environment that `run` uses. The process is forked where possible, so it starts faster."""
    return forked.run(arguments, cwd=cwd, env=_environment(environment), timeout=300)


def mypy() -> list[str]:
    """Return the beginning of a mypy command that finds the libraries in the cache of `make lint`."""
    # Mypy uses what `make lint` left in the cache only if the options are the same.
    ours = mypy_settings(ROOT)
    codes = [f"--enable-error-code={code}" for code in ours["enable_error_code"]]
    return [sys.executable, "-m", "mypy", f"--cache-dir={CACHE}", f"--python-version={ours['python_version']}", *codes]


def mypy_settings(folder: Path) -> dict[str, Any]:
    settings: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["mypy"]
    return settings


def _environment(more: dict[str, str]) -> dict[str, str]:
    return inherited() | {"PYTHONPATH": str(ROOT), **more}


def inherited(*, without: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the environment variables of this process that a project may see.

    Variables of the toolkit and of make are left out, and those whose names begin with one of `without`.
    """
    # Otherwise the make that runs this test suite would pass its options on to the make of a project.
    hidden = ("LAYERCODE_", "DEFAULT_MODEL", "MAKE", "MFLAGS", "ARGS", "VENV", "INSTALLED", "PARALLEL", *without)
    return {name: value for name, value in os.environ.items() if not name.startswith(hidden)}


ALONE = ("--no-vendor", "--no-git")
"""With these options, `new` asks no package index and creates no repository. test_vendoring.py and test_repository.py
test these two features."""


def clean() -> dict[str, str]:
    """Return the environment variables that a shell outside of this test suite has."""
    environment = inherited(without=("PYTHON", "VIRTUAL_ENV", "COV_", "COVERAGE_", "SSL_CERT_FILE"))
    if certificates := environment.pop("MACHINES_SSL_CERT_FILE"):
        environment["SSL_CERT_FILE"] = certificates
    return environment


def new(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `layercode-create-app new` as a process."""
    return python(["-m", "layercode_app", "new", *ALONE, *arguments], cwd)


def made(cwd: Path, *arguments: str) -> dict[str, Any]:
    """Create a project, and return the JSON that `new --json` prints."""
    result = new(cwd, *arguments, "--json")
    assert result.returncode == 0, result.stderr
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def every_choice_of_extras() -> Iterator[tuple[str, ...]]:
    """Yield every combination of extras that has at most one journal."""
    for count in range(len(EXTRAS) + 1):
        yield from (chosen for chosen in combinations(EXTRAS, count) if not set(STORES) <= set(chosen))


def tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}

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
"""The cache of `make lint`, which has read the same libraries."""
AGENTS = templates(next(folder for folder in BUILT_IN if folder.is_dir()))


def run(command: Sequence[str | Path], cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program; nothing of this process's settings is passed on to it."""
    return subprocess.run(
        command, cwd=cwd, env=_environment(environment), capture_output=True, text=True, check=False, timeout=300
    )


def python(arguments: Sequence[str | Path], cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The same for a Python program, which is forked."""
    return forked.run(arguments, cwd=cwd, env=_environment(environment), timeout=300)


def mypy() -> list[str]:
    """A command that checks types, and finds our libraries in the cache."""
    # Only with the same options does mypy use what `make lint` left in the cache.
    ours = mypy_settings(ROOT)
    codes = [f"--enable-error-code={code}" for code in ours["enable_error_code"]]
    return [sys.executable, "-m", "mypy", f"--cache-dir={CACHE}", f"--python-version={ours['python_version']}", *codes]


def mypy_settings(folder: Path) -> dict[str, Any]:
    settings: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["mypy"]
    return settings


def _environment(more: dict[str, str]) -> dict[str, str]:
    return inherited() | {"PYTHONPATH": str(ROOT), **more}


def inherited(*, without: tuple[str, ...] = ()) -> dict[str, str]:
    """What a project may see of this process's environment; `without` names the beginnings of more that it may not."""
    # The make that runs this suite would hand its options down to that of a project.
    hidden = ("LAYERCODE_", "DEFAULT_MODEL", "MAKE", "MFLAGS", "ARGS", "VENV", "INSTALLED", "PARALLEL", *without)
    return {name: value for name, value in os.environ.items() if not name.startswith(hidden)}


ALONE = ("--no-vendor", "--no-git")
"""Asks no package index and creates no repository; test_vendoring.py and test_repository.py have the others."""


def clean() -> dict[str, str]:
    """What a shell without this test suite has."""
    environment = inherited(without=("PYTHON", "VIRTUAL_ENV", "COV_", "COVERAGE_", "SSL_CERT_FILE"))
    if certificates := environment.pop("MACHINES_SSL_CERT_FILE"):
        environment["SSL_CERT_FILE"] = certificates
    return environment


def new(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`layercode-create-app new`, as a process."""
    return python(["-m", "layercode_app", "new", *ALONE, *arguments], cwd)


def made(cwd: Path, *arguments: str) -> dict[str, Any]:
    """What `new --json` says of a project that it made."""
    result = new(cwd, *arguments, "--json")
    assert result.returncode == 0, result.stderr
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def every_choice_of_extras() -> Iterator[tuple[str, ...]]:
    """Every combination of extras, with one journal at most."""
    for count in range(len(EXTRAS) + 1):
        yield from (chosen for chosen in combinations(EXTRAS, count) if not set(STORES) <= set(chosen))


def tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}

"""The published package: its version, commands, pins, and the contents of the wheel."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import layercode_app

from .imports import NAME, imports
from .markdown import ROOT
from .support import need_distribution

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
COMMANDS = ["layercode-app", "layercode-create-app"]


def test_version_is_in_the_changelog() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.findall(r"^## \[(.+?)\]", changes, re.MULTILINE)[0]
    assert newest == layercode_app.__version__


@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_declared_and_callable(command: str) -> None:
    entry = metadata.EntryPoint(command, PROJECT["project"]["scripts"][command], "console_scripts")
    assert callable(entry.load())


def test_metadata_of_the_installed_distribution() -> None:
    installed = need_distribution("layercode-app")
    assert installed.version == layercode_app.__version__
    assert installed.metadata["License-Expression"] == "MIT"
    assert installed.metadata["Requires-Python"] == ">=3.11"
    assert sorted(entry.name for entry in installed.entry_points.select(group="console_scripts")) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_installed_command_says_its_version(command: str) -> None:
    need_distribution("layercode-app")
    program = Path(sysconfig.get_path("scripts")) / command
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert layercode_app.__version__ in done.stdout


def _pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pins}


def _requirements() -> list[Requirement]:
    project = PROJECT["project"]
    extras = [text for extra in project.get("optional-dependencies", {}).values() for text in extra]
    groups = [text for group in PROJECT["dependency-groups"].values() for text in group if isinstance(text, str)]
    every = [Requirement(text) for text in [*project["dependencies"], *extras, *groups]]
    return [requirement for requirement in every if canonicalize_name(requirement.name) != "layercode-app"]


@pytest.mark.parametrize("requirement", _requirements(), ids=str)
def test_every_requirement_is_pinned_within_its_range(requirement: Requirement) -> None:
    pinned = _pins().get(canonicalize_name(requirement.name))
    assert pinned is not None, f"constraints.txt has no {requirement.name}; run `make constraints`"
    assert requirement.specifier.contains(pinned), f"constraints.txt has {pinned}; run `make constraints`"


NEEDED_BOUNDS = {"httpx<1,>=0.28.1", "sentry-sdk<3,>=2.75", "pymdown-extensions<13"}
"""The upper bounds that are needed.

A user who allows pre-releases would get the next major version of httpx or sentry-sdk, with which no server starts. The
next major version of pymdown-extensions needs a newer Python than that of Debian 12.
"""


def test_no_requirement_has_a_needless_upper_bound() -> None:
    bounds = {"<", "<=", "==", "~="}
    assert {str(r) for r in _requirements() for bound in r.specifier if bound.operator in bounds} == NEEDED_BOUNDS


def test_constraints_are_versions_and_nothing_else() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not re.fullmatch(r"#.*|[\w.-]+==[\w.+!]+", line)] == []


UNDECLARED = {
    "pytest": "its plugin is imported by pytest only",
    "uvloop": "uvicorn[standard] installs it where it exists; `bench` does without it elsewhere",
}
"""The distributions that the package imports and does not require, each with its reason."""


@pytest.mark.slow
def test_every_imported_distribution_is_declared() -> None:
    declared = {canonicalize_name(requirement.name) for requirement in _required_by_users()}
    wrong = []
    for found in imports():
        if found.target.split(".")[0] not in {*sys.stdlib_module_names, NAME}:
            distribution = _distribution_of(found.target)
            if distribution not in declared | UNDECLARED.keys():
                wrong.append(f"{found}, of {distribution}: declare it in pyproject.toml")
    assert not wrong, "\n".join(wrong)


def _required_by_users() -> list[Requirement]:
    project = PROJECT["project"]
    extras = [text for extra in project["optional-dependencies"].values() for text in extra]
    return [Requirement(text) for text in [*project["dependencies"], *extras]]


@cache
def _distributions() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


@cache
def _distribution_of(module: str) -> str:
    """Return the name of the distribution that contains a module.

    Several distributions can have modules in one namespace package, such as `opentelemetry`. Then the module's file
    decides.
    """
    top = module.split(".")[0]
    names = _distributions().get(top, ["nothing-installed"])
    if len(set(names)) == 1:
        return canonicalize_name(names[0])
    spec = importlib.util.find_spec(module)
    assert spec is not None, f"{module} is not installed"
    places = {Path(place) for place in (spec.origin, *(spec.submodule_search_locations or ())) if place}
    owners = {name for name in names for file in metadata.files(name) or () if _holds(file, places)}
    # For `from opentelemetry import trace`, `module` is only the namespace package, which has no single owner. The
    # package imports only modules of opentelemetry-api in this way.
    return canonicalize_name(owners.pop()) if len(owners) == 1 else "opentelemetry-api"


def _holds(file: metadata.PackagePath, places: set[Path]) -> bool:
    path = Path(str(file.locate()))
    return path in places or path.parent in places


@pytest.mark.parametrize(
    ("module", "distribution"),
    [
        ("dotenv", "python-dotenv"),
        ("opentelemetry.trace", "opentelemetry-api"),
        ("opentelemetry.sdk.trace", "opentelemetry-sdk"),
        ("opentelemetry.proto.trace.v1", "opentelemetry-proto"),
        ("opentelemetry.instrumentation.utils", "opentelemetry-instrumentation"),
        ("unheard_of", "nothing-installed"),
    ],
)
def test_modules_are_found_in_their_distributions(module: str, distribution: str) -> None:
    assert canonicalize_name(_distribution_of(module)) == distribution


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    if (built := os.environ.get("LAYERCODE_WHEEL")) is None:
        folder = tmp_path_factory.mktemp("wheel")
        subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
        (built,) = map(str, folder.iterdir())
    return zipfile.ZipFile(built)


def test_wheel_installs_one_package(wheel: zipfile.ZipFile) -> None:
    top = {PurePosixPath(name).parts[0] for name in wheel.namelist()}
    assert top == {"layercode_app", f"layercode_app-{layercode_app.__version__}.dist-info"}


def test_wheel_ships_agents_and_types_and_no_rubbish(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    shipped = {f"layercode_app/agents/{name}" for name in ("echo.py", "starter.py", "prompts/starter.md")}
    assert shipped | {"layercode_app/py.typed"} <= names
    assert [
        name for name in names if re.search(r"__pycache__|\.pyc$|\.env$|\.sqlite|node_modules|\.DS_Store", name)
    ] == []

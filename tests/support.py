"""Find a program or package that a test needs.

If it is missing, the test is skipped with a reason. But if CI=true is set in the environment, the test fails instead.
"""

from __future__ import annotations

import os
import shutil
from importlib import metadata
from pathlib import Path
from typing import NoReturn

import pytest

NODE = Path(__file__).parent / "node"
"""Where `npm ci` puts the packages that tests run."""


def need_program(*names: str) -> str:
    """Return the path of the first of these programs that is installed: `need_program("chromium", "google-chrome")`."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    return found or _missing(f"the program {' or '.join(names)} is not installed")


def need_node_package(name: str) -> Path:
    """Return the folder of an npm package that is installed in tests/node. The program `node` must be installed too."""
    need_program("node")
    folder = NODE / "node_modules" / name
    if not (folder / "package.json").is_file():
        _missing(f"the npm package {name} is not installed; run `npm ci` in tests/node")
    return folder


def need_distribution(name: str) -> metadata.Distribution:
    """Return an installed distribution.

    The distribution of this package is missing if the tests run on a bare checkout. There, the package is not
    installed, but only importable through PYTHONPATH.
    """
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        _missing(f"the distribution {name} is not installed; run `make test`")


def _missing(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and with CI=true nothing may be missing", pytrace=False)
    pytest.skip(f"{reason} (with CI=true this fails)")

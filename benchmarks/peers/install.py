"""Install the packages of each peer once from their registry, into a separate folder under build/peers.

Bare ASGI and our server need no installation: they run from this checkout.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

BUILD = Path("build/peers").absolute()
LIMIT_SECONDS = 900
OWN = ("layercode-app", "pydantic-ai-slim", "uvicorn", "uvloop", "httptools")
VERSIONS = """
import json, sys
from importlib import metadata
print(json.dumps({d.metadata["name"].lower(): d.version for d in metadata.distributions()} | {"python": sys.version.split()[0]}))
"""


class NotRunError(Exception):
    """A peer cannot be run here; the message says why."""


@dataclass(frozen=True)
class Python:
    """The Python packages that a peer needs. They are installed into a virtual environment.

    `shown` names the packages whose versions the table shows. `least` is the oldest supported version of Python.
    """

    packages: tuple[str, ...]
    shown: tuple[str, ...]
    least: tuple[int, int] = (3, 11)


@dataclass(frozen=True)
class Node:
    """The npm packages that a peer needs, each with its version."""

    packages: dict[str, str]


Needs = Python | Node | None


def install(key: str, needs: Needs, *, python: str | None = None) -> dict[str, str]:
    """Install the packages that a peer needs, unless an earlier run installed them. Return the installed versions.

    Raises NotRunError if the packages cannot be installed. The error's message says why.
    """
    folder = BUILD / key
    if needs is None:
        return _own_versions() if key == "ours" else {k: v for k, v in _own_versions().items() if k != OWN[0]}
    stamp = folder / "installed.json"
    wanted = repr(needs)
    if stamp.is_file() and (found := json.loads(stamp.read_text()))["wanted"] == wanted:
        return dict(found["versions"])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    versions = _install_python(folder, needs, python) if isinstance(needs, Python) else _install_node(folder, needs)
    stamp.write_text(json.dumps({"wanted": wanted, "versions": versions}))
    return versions


def _own_versions() -> dict[str, str]:
    found = {name: metadata.version(name) for name in OWN[1:]}
    from layercode_app import __version__

    return {"python": sys.version.split()[0], OWN[0]: __version__} | found


def _install_python(folder: Path, needs: Python, python: str | None) -> dict[str, str]:
    base = find_python(needs.least, python)
    _run([base, "-m", "venv", str(folder / "venv")])
    inside = str(folder / "venv/bin/python")
    _run([inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *needs.packages])
    versions = json.loads(_run([inside, "-c", VERSIONS]))
    return {name: versions[name] for name in ("python", *needs.shown) if name in versions}


def _install_node(folder: Path, needs: Node) -> dict[str, str]:
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise NotRunError(f"{program} is not installed")
    package = {"name": "peer", "private": True, "type": "module", "dependencies": needs.packages}
    (folder / "package.json").write_text(json.dumps(package))
    _run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder)
    installed = {
        name: json.loads((folder / "node_modules" / name / "package.json").read_text())["version"]
        for name in needs.packages
    }
    return {"node": _run(["node", "--version"]).strip().removeprefix("v")} | installed


def find_python(least: tuple[int, int], given: str | None = None) -> str:
    """Return the path of a Python whose version is at least `least`.

    If `given` names a Python, only this Python is tried. Otherwise these are tried, in this order: the running Python,
    the Pythons on PATH, and the Pythons of uv or pyenv. Raises NotRunError if none is new enough.
    """
    named = [given] if given else [sys.executable, *(f"python3.{minor}" for minor in range(least[1], 15)), *_managed()]
    test = f"import ensurepip, sys; sys.exit(sys.version_info < {least})"
    for name in named:
        if shutil.which(name) and subprocess.run([name, "-c", test], capture_output=True, timeout=30).returncode == 0:
            return str(shutil.which(name))
    wanted = ".".join(map(str, least))
    found = f"{given} is an older Python or does not run" if given else "none was found; name one with --python312"
    raise NotRunError(f"it needs Python {wanted} or newer, but {found}")


def _managed() -> list[str]:
    if shutil.which("uv"):
        found = subprocess.run(["uv", "python", "find", ">=3.12"], capture_output=True, text=True, timeout=30)
        return [found.stdout.strip()] if found.returncode == 0 else []
    if shutil.which("pyenv"):
        root = subprocess.run(["pyenv", "root"], capture_output=True, text=True, timeout=30).stdout.strip()
        return sorted(str(path) for path in Path(root, "versions").glob("3.1[2-9]*/bin/python"))
    return []


def _run(command: list[str], *, cwd: Path | None = None) -> str:
    quiet = os.environ | {"PIP_NO_INPUT": "1"}
    quiet.pop("PYTHONPATH", None)
    try:
        done = subprocess.run(command, cwd=cwd, env=quiet, capture_output=True, text=True, timeout=LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        raise NotRunError(f"`{Path(command[0]).name}` took more than {LIMIT_SECONDS} s to install the peer") from None
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise NotRunError(f"it could not be installed: {last}")
    return done.stdout

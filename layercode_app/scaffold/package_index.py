"""Ask the package index of this machine, through pip or uv, whether the index has a given version of this package."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from shutil import which
from tempfile import TemporaryDirectory

from ..settings import environment
from .source import NAME

SECONDS = 3
"""Timeout of one request. Requests are not repeated: a slow index must not hold up `new`."""
ALL_SECONDS = 10
"""Timeout of the whole query, including several indexes and their DNS lookups."""
_FAILED = re.compile(r"^\s*Could not fetch URL \S+ (?!404 )(.+) - skipping$", re.MULTILINE)
_ERRNO = re.compile(r"\[Errno -?\d+\] ([\w ,]+)")


@dataclass(frozen=True)
class Answer:
    """The answer of the package index: `has` is true if the index has the version.

    If the index could not be asked, `has` is false and `why` is the reason.
    """

    has: bool
    why: str = ""


def ask(version: str) -> Answer:
    """Ask pip's package index whether it has a version of this package. If pip is missing, ask uv's package index."""
    if find_spec("pip") is not None:
        return _ask_pip(version)
    if uv := which("uv"):
        return _ask_uv(uv, version)
    return Answer(False, "neither pip nor uv is installed")


def _ask_pip(version: str) -> Answer:
    # -P: a folder `pip` in the current folder must not be imported. -vv prints why a page was not fetched.
    asked = [sys.executable, "-P", "-m", "pip", "index", "versions", NAME, "--pre", "-vv", "--retries", "0"]
    code, text = _run([*asked, "--timeout", str(SECONDS), "--no-input", "--no-color", "--disable-pip-version-check"])
    listed = re.search(r"^Available versions: (.+)$", text, re.MULTILINE)
    if code == 0 and listed is not None:
        return Answer(version in listed[1].split(", "))
    if failed := _FAILED.search(text):
        return Answer(False, _brief(failed[1]))
    if "No matching distribution found" in text:
        return Answer(False)
    return Answer(False, _brief(text))


def _ask_uv(uv: str, version: str) -> Answer:
    asked = [uv, "pip", "compile", "--no-deps", "--quiet", "--no-header", "--no-annotate", "-"]
    code, text = _run(
        asked, typed=f"{NAME}=={version}\n", more={"UV_HTTP_RETRIES": "0", "UV_HTTP_TIMEOUT": str(SECONDS)}
    )
    if code == 0 or "No solution found" in text:
        return Answer(code == 0)
    return Answer(False, _brief(text))


def _run(command: Sequence[str], *, typed: str = "", more: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run an installer. Return its exit code and what it printed, or -1 and the reason if it timed out or did not start.

    `typed` is the installer's stdin, and `more` has additional environment variables.

    The installer runs in an empty folder. In the folder of a project, uv would find the project's own wheel in
    `vendor/`, even if the package index does not have this version.
    """
    try:
        with TemporaryDirectory() as empty:
            done = subprocess.run(  # noqa: S603
                command, cwd=empty, input=typed, env={**environment(), **(more or {})}, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, errors="replace", check=False, timeout=ALL_SECONDS,
            )  # fmt: skip
    except subprocess.TimeoutExpired:
        return -1, f"no answer within {ALL_SECONDS} s"
    except OSError as error:
        return -1, str(error)
    return done.returncode, done.stdout


def _brief(text: str) -> str:
    """Return a short reason for a failure: the operating system's error if `text` has one, else the last line."""
    if system := _ERRNO.findall(text):
        return str(system[-1]).strip()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("cause: ")[:120] if lines else "the installer printed nothing"

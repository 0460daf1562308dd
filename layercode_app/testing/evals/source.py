"""Hash the files that affect a run: the files of the agents' folders, and the packages that scenario files refer to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from ...agent.discovery import folders
from ...exceptions import ConfigurationError
from .scenario import ScenarioFile

CACHES = ("__pycache__", "node_modules")
LOGS = (".log", ".pyc")


def source_digest(files: Sequence[ScenarioFile], agents: Path | None) -> str:
    """Return the hash of the code, prompts and data of the agents and of the callers' scripts.

    Raises ConfigurationError if a file cannot be read.
    """
    digest = hashlib.sha256()
    for path in _sources(files, agents):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ConfigurationError(
                f"{path} cannot be read: {error.strerror}. Change the file's permissions."
            ) from error
        digest.update(bytes(path.resolve()) + f"\n{len(content)}\n".encode() + content)
    return digest.hexdigest()


def _sources(files: Sequence[ScenarioFile], agents: Path | None) -> Iterator[Path]:
    for folder in folders(agents):
        yield from _files(folder)
    callers = [scenario.caller for file in files for scenario in file.scenarios if scenario.caller]
    scripts = [caller.script for caller in callers if isinstance(caller.script, str)]
    for package in sorted({address.partition(":")[0].partition(".")[0] for address in _addresses(files, scripts)}):
        spec = find_spec(package)
        if spec is not None and spec.submodule_search_locations:
            for location in spec.submodule_search_locations:
                yield from _files(Path(location))
        elif spec is not None and spec.has_location and spec.origin:
            yield Path(spec.origin)


def _addresses(files: Sequence[ScenarioFile], scripts: Sequence[str]) -> list[str]:
    return [*(file.agent for file in files if ":" in file.agent), *scripts]


def _files(folder: Path) -> list[Path]:
    """Return all files of a folder that an agent may read. Hidden files, caches and logs are left out."""
    return sorted(path for path in folder.rglob("*") if _matters(path.relative_to(folder)) and path.is_file())


def _matters(path: Path) -> bool:
    hidden = any(part.startswith(".") or part in CACHES for part in path.parts)
    return not hidden and path.suffix not in LOGS

"""Find agent files in folders, and the agents in them."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import traceback
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from ..exceptions import AgentImportError, AgentNotFoundError, ConfigurationError, DeveloperError, MissingExtraError
from ..nearest import nearest
from .faults import fault_of_agent
from .importing import import_error, import_module, is_ctrl_c
from .shipped import BUILT_IN
from .voice_agent import VoiceAgent

PRIVATE_PACKAGE = "layercode_app._agent_files"
STARTER = "starter"
"""The name of the shipped agent that is used if the project has none."""


@dataclass
class Found:
    """The result of discovery: agents and their files by agent name, and import errors by path."""

    agents: dict[str, VoiceAgent[Any, Any]] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    failed: dict[Path, AgentImportError] = field(default_factory=dict)
    unavailable: dict[Path, AgentImportError] = field(default_factory=dict)
    """The errors of shipped agents whose optional dependencies are not installed, by path."""
    warnings: list[str] = field(default_factory=list)
    """Problems for the developer: a file without an agent, or two files with an agent of the same name."""
    notes: list[str] = field(default_factory=list)
    """Messages about agents that override a shipped agent of the same name."""
    keyless: dict[str, None] = field(default_factory=dict)
    """The models that agent files created without an API key, by name; the values are None. See `deferred_models`."""

    def own(self) -> list[str]:
        """Return the names of the agents in the project's own files, sorted."""
        return sorted(name for name, path in self.files.items() if not _is_shipped(path))

    def is_example(self, name: str) -> bool:
        """Return whether the agent of this name is a shipped one."""
        return name in self.files and _is_shipped(self.files[name])

    def without_examples(self, *, keep: str = "") -> Found:
        """Return the result without the shipped agents, except for those in the file of the agent `keep`.

        An agent may hand a call to another agent of its file.
        """
        kept = [name for name, path in self.files.items() if path == self.files.get(keep)]
        own = sorted({*self.own(), *kept})
        failed = {path: error for path, error in self.failed.items() if not _is_shipped(path)}
        agents, files = {name: self.agents[name] for name in own}, {name: self.files[name] for name in own}
        return replace(self, agents=agents, files=files, failed=failed)

    def beside(self, name: str) -> list[VoiceAgent[Any, Any]]:
        """Return the agents to which the named agent may hand the call: the other agents in the folder of its file."""
        if name not in self.files:
            return []
        folder = self.files[name].parent
        return [voice for other, voice in self.agents.items() if other != name and self.files[other].parent == folder]

    def default(self) -> str:
        """Return the name of the default agent: the project's only agent, or STARTER if the project has no agent.

        An agent whose file failed counts too. If all agents are in one file, the default is the agent that is named
        after the file. Raises ConfigurationError if there are several agents and no default.
        """
        own = sorted({*self.own(), *(path.stem for path in self.failed if not _is_shipped(path))})
        # A file may define several agents: the agent named after the file, and agents to which it hands calls.
        after_file = [name for name in own if name not in self.files or self.files[name].stem == name]
        own = after_file if len(after_file) == 1 and len({self.files.get(name) for name in own}) == 1 else own
        if len(own) > 1:
            raise ConfigurationError(
                f"This project has several agents: {', '.join(own)}. Choose the agent that answers, such as "
                f"`--agent {own[0]}`."
            )
        return own[0] if own else STARTER

    def get(self, name: str = "") -> VoiceAgent[Any, Any]:
        """Return the agent of that name, or the default agent for an empty name.

        Raises the AgentImportError of the agent's file, or AgentNotFoundError, which lists the known names. Raises
        ConfigurationError for an empty name if there are several agents and no default.
        """
        name = name or self.default()
        if name in self.agents:
            return self.agents[name]
        for path, error in (self.failed | self.unavailable).items():
            if path.stem == name:
                raise error
        known = ", ".join(sorted(self.agents)) or "none"
        tried = ", ".join(sorted({str(path.parent) for path in self.files.values()})) or "no folder"
        meant = nearest(name, self.agents)
        hint = f" Did you mean {meant!r}?" if meant else ""
        raise AgentNotFoundError(f"Agent {name!r} not found in {tried}. Agents there: {known}.{hint}")


def _is_shipped(path: Path) -> bool:
    return path.parent in [folder.resolve() for folder in BUILT_IN]


def folders(agents_dir: Path | None) -> list[Path]:
    """Return the existing folders to search: the given folder or ./agents, then the folders of the shipped agents."""
    candidates = [agents_dir or Path("agents"), *BUILT_IN]
    unique: dict[Path, None] = {path.resolve(): None for path in candidates if path.is_dir()}
    return list(unique)


def discover(agents_dir: Path | str | None = None) -> Found:
    """Load every agent file whose name does not begin with `_`.

    If a file fails, its error is recorded, and the other files are still loaded. If two agents have the same name, the
    first is used. Raises AgentNotFoundError if the given folder does not exist.
    """
    given = None if agents_dir is None else Path(agents_dir)
    if given is not None and not given.is_dir():
        raise AgentNotFoundError(f"--agents {given}: no such folder. Create it, or leave the option out.")
    from .deferred_models import models_deferred

    found = Found()
    with models_deferred() as found.keyless:
        for folder in folders(given):
            for path in sorted(folder.glob("*.py")):
                if not path.name.startswith("_"):
                    _load_into(found, path)
    return found


def find_agent(name: str, agents_dir: Path | str | None = None) -> VoiceAgent[Any, Any]:
    """Return the agent with this name, or the agent at `package.module:attribute`.

    A name is looked up in the given folder or `./agents`, then among the shipped agents. Raises AgentNotFoundError,
    which lists the known agents, or AgentImportError with the agent file's own traceback.
    """
    return find_by_import(name) if ":" in name else discover(agents_dir).get(name)


def find_by_import(address: str) -> VoiceAgent[Any, Any]:
    """Return the agent at `package.module:attribute`. A bare PydanticAI agent is wrapped in a VoiceAgent.

    Raises AgentNotFoundError if the module does not exist or the attribute is not an agent, and AgentImportError if the
    module fails to import.
    """
    module_name, _, attribute = address.partition(":")
    module = import_module(module_name, asked=address)
    value = getattr(module, attribute, None)
    if isinstance(value, VoiceAgent):
        return value
    if _is_pydantic_agent(value):
        return VoiceAgent(_plain_name(getattr(value, "name", None) or attribute), value)
    raise AgentNotFoundError(
        f"Agent {address!r}: {attribute!r} is {value!r}; expected a VoiceAgent or a PydanticAI Agent."
    )


def _plain_name(name: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name)


def _load_into(found: Found, path: Path) -> None:
    try:
        module = load_file(path)
    except AgentImportError as error:
        optional = isinstance(error.__cause__, MissingExtraError) and _is_shipped(path.resolve())
        (found.unavailable if optional else found.failed)[path] = error
        return
    try:
        agents = _agents_in(module, path)
        faults = [fault for agent in agents if (fault := fault_of_agent(agent))]
    except Exception as error:  # noqa: BLE001 - a mistake in one file must not hide the agents of the others
        found.failed[path] = import_error(f"Agent file {path}", error, traceback=_own_traceback(error, path))
        return
    if not agents:
        found.warnings.append(
            f"{path} has no agent in it: expected a VoiceAgent or a PydanticAI Agent at module level, such as "
            f"`agent = VoiceAgent({path.stem!r}, …)`. If it is only a helper module, begin the file's name with _."
        )
    if faults:
        found.failed[path] = AgentImportError(f"Agent file {path}: {' '.join(faults)}")
        return
    for agent in agents:
        if agent.name not in found.agents:
            found.agents[agent.name], found.files[agent.name] = agent, path
        elif found.agents[agent.name] is not agent:
            _note_twin(found, agent.name, path)


def _note_twin(found: Found, name: str, path: Path) -> None:
    """Record which of two agents with the same name is used: the agent that was found first."""
    first = found.files[name]
    if _is_shipped(path):
        found.notes.append(f"The agent {name!r} of {first} is used instead of the shipped agent of that name.")
    elif first == path:
        found.warnings.append(f"Two agents in {path} are named {name!r}: the first is used. Rename one of them.")
    else:
        found.warnings.append(f"The agent {name!r} is in {first} and in {path}: the first is used. Rename one of them.")


def load_file(path: Path) -> ModuleType:
    """Import an agent file as a module with a private name, without changing `sys.path`.

    Raises AgentImportError with the file's own traceback.
    """
    # Do not use `Path.resolve`: it raises RuntimeError for a symbolic link to itself. The import reports such a link.
    digest = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:8]
    name = f"{PRIVATE_PACKAGE}.{path.stem}_{digest}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if is_ctrl_c(error):
            raise
        raise import_error(f"Agent file {path}", error, traceback=_own_traceback(error, path)) from error
    return module


def _own_traceback(error: BaseException, path: Path) -> str:
    """Return the traceback from the agent file's first frame on, without the frames of the import machinery."""
    frames = traceback.extract_tb(error.__traceback__)
    # A file with a syntax error has no frame; the error itself shows the line.
    first = next((i for i, frame in enumerate(frames) if Path(frame.filename) == path), len(frames))
    lines = traceback.format_list(frames[first:])
    head = ["Traceback (most recent call last):\n"] if lines else []
    return "".join([*head, *lines, *traceback.format_exception_only(error)])


def _agents_in(module: ModuleType, path: Path) -> list[VoiceAgent[Any, Any]]:
    """Return the module's VoiceAgents; if there are none, its last bare PydanticAI agent, named after the file."""
    voices = [value for value in vars(module).values() if isinstance(value, VoiceAgent)]
    if not voices:
        bare = [name for name, value in vars(module).items() if _is_pydantic_agent(value)]
        voices = [_wrapped(module, bare[-1], path)] if bare else []
    for voice in voices:
        voice.describe((module.__doc__ or "").strip().partition("\n")[0])
    return voices


def _wrapped(module: ModuleType, name: str, path: Path) -> VoiceAgent[Any, Any]:
    """Return a VoiceAgent for the bare PydanticAI agent that the module calls `name`."""
    try:
        return VoiceAgent(path.stem, getattr(module, name))
    except DeveloperError as error:
        raise DeveloperError(
            f"the file has no VoiceAgent at module level, and {name} does not work without one: {error} "
            f"Write `agent = VoiceAgent({_plain_name(path.stem)!r}, {name}, …)` in the file."
        ) from error


def _is_pydantic_agent(value: object) -> bool:
    from pydantic_ai.agent import AbstractAgent

    return isinstance(value, AbstractAgent)

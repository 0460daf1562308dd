"""What was asked for, checked before anything is written."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ..exceptions import ConfigurationError
from .options import EXTRAS, PROVIDERS
from .required import normalized, required

_NAME = re.compile(r"[A-Za-z]([A-Za-z0-9_-]{0,62}[A-Za-z0-9])?")
_TAKEN = {"layercode_app", "pydantic_ai", "agents", "tests", "test", "evals", "logs", "web", "con", "nul", "aux", "prn"}


@dataclass(frozen=True)
class Answers:
    """A project that can be made. `name` is its distribution's, `module` its agent's."""

    folder: Path
    name: str
    agent: str = "starter"
    model: str | None = None
    extras: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """The name as Python has it: of the agent, its file and its route."""
        return module_name(self.name)

    @property
    def provider(self) -> str | None:
        """Who serves the model; None without one, and for the offline script."""
        return self.model.partition(":")[0] if self.model and ":" in self.model else None


def module_name(name: str) -> str:
    """A project's name as the name of a Python module."""
    return name.lower().replace("-", "_")


def check(
    where: str, *, agent: str, model: str | None, extras: Sequence[str], known_agents: Collection[str]
) -> Answers:
    """The answers, where all of them can be; raises ConfigurationError with the first that cannot, and the mend."""
    folder, name = check_place(where)
    check_known("--agent", agent, known_agents)
    check_model(model)
    return Answers(folder, name, agent, model, check_extras(extras))


def check_place(where: str) -> tuple[Path, str]:
    """The folder of a new project and its name; `.` is the folder one is in, which may have other things in it."""
    folder = Path(where)
    if not where.strip():
        # Path("") is the folder one is in, and `new "$NAME"` with NAME unset does not mean that.
        check_name(where)
    if folder.resolve() == Path.cwd():
        return folder, check_name(folder.resolve().name)
    name = check_name(folder.name)
    _check_folder(folder)
    return folder, name


def check_extras(extras: Sequence[str]) -> tuple[str, ...]:
    """The extras in their order, with those that they need."""
    for extra in extras:
        check_known("--with", extra, EXTRAS)
    # A cluster runs an image, so its manifests come with the way to build one.
    wanted = {*extras, *(["docker"] if "k8s" in extras else [])}
    return tuple(extra for extra in EXTRAS if extra in wanted)


def check_name(name: str) -> str:
    """The name, if a project may have it; raises ConfigurationError otherwise."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"The name {name!r} cannot be used: expected ASCII letters, digits, - and _, beginning with a letter "
            f"and at most 64 long, such as {_suggestion(name)!r}."
        )
    module = module_name(name)
    if keyword.iskeyword(module) or keyword.iskeyword(name):
        raise ConfigurationError(f"The name {name!r} is a Python keyword. Add a word, such as '{name}-agent'.")
    if module in sys.stdlib_module_names:
        raise ConfigurationError(
            f"The name {name!r} is that of a standard Python module, which it would hide. "
            f"Add a word, such as '{name}-agent'."
        )
    if normalized(name) in required():
        raise ConfigurationError(
            f"The name {name!r} is that of a package which the project installs. Add a word, such as '{name}-agent'."
        )
    if module in _TAKEN:
        raise ConfigurationError(f"The name {name!r} is taken by the project's own parts. Choose another.")
    return name


def _suggestion(name: str) -> str:
    words = re.findall(r"[a-z0-9]+", name.lower())
    return re.sub(r"^[0-9-]+", "", "-".join(words))[:64].strip("-") or "my-agent"


def _check_folder(folder: Path) -> None:
    if folder.exists() or folder.is_symlink():
        raise ConfigurationError(
            f"{folder} exists already, and nothing is overwritten. Choose another name, or run `new .` inside it."
        )
    if not folder.parent.is_dir():
        raise ConfigurationError(f"{folder.parent} is not a folder. Create it first, or leave the path out.")


def check_known(option: str, value: str, known: Collection[str]) -> None:
    """Raise ConfigurationError, with what is known and what comes close, for a value that is not."""
    if value not in known:
        close = get_close_matches(value, known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ConfigurationError(f"{option} {value}: not known; expected one of {', '.join(sorted(known))}.{hint}")


def check_model(model: str | None) -> None:
    """Raise ConfigurationError unless it is PROVIDER:NAME of a known provider, `offline` or none."""
    if model is None or model == "offline":
        return
    provider, _, name = model.partition(":")
    if not name or not re.fullmatch(r"[\w.:/@+-]+", name):
        raise ConfigurationError(f"--model {model}: expected PROVIDER:NAME, such as openai:gpt-5-mini, or offline.")
    check_known("--model", provider, PROVIDERS)

"""The answers that describe a new project, checked before anything is written."""

from __future__ import annotations

import keyword
import re
import sys
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from ..exceptions import ConfigurationError
from .options import EXTRAS, PROVIDERS, STORES
from .required import normalized, required

if TYPE_CHECKING:
    from .vendored_wheel import Wheel

_NAME = re.compile(r"[A-Za-z]([A-Za-z0-9_-]{0,62}[A-Za-z0-9])?")
_WRITTEN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "ø": "oe", "œ": "oe", "ł": "l"})
_TAKEN = {"layercode_app", "pydantic_ai", "agents", "tests", "test", "evals", "logs", "web", "con", "nul", "aux", "prn"}


@dataclass(frozen=True)
class Answers:
    """A valid set of answers. `name` is the name of the distribution, and `module` is the name of the agent."""

    folder: Path
    name: str
    agent: str = "starter"
    model: str | None = None
    extras: tuple[str, ...] = ()
    wheel: Wheel | None = None
    """The wheel of this package to put into the project; None if the project installs this package from elsewhere."""

    @property
    def module(self) -> str:
        """The name as a Python identifier, for the agent, its file and its route."""
        return module_name(self.name)

    @property
    def provider(self) -> str | None:
        """The provider of the model; None if there is no model, or if the model is `offline`."""
        return self.model.partition(":")[0] if self.model and ":" in self.model else None


def module_name(name: str) -> str:
    """Return a project's name as the name of a Python module."""
    return name.lower().replace("-", "_")


def check(
    where: str, *, agent: str, model: str | None, extras: Sequence[str], known_agents: Collection[str]
) -> Answers:
    """Check all answers and return them. Raises ConfigurationError, with the fix, for the first wrong answer."""
    folder, name = check_place(where)
    check_known("--agent", agent, known_agents)
    check_model(model)
    return Answers(folder, name, agent, model, check_extras(extras))


def check_place(where: str) -> tuple[Path, str]:
    """Return the folder of a new project and its name. `.` is the current folder, which need not be empty.

    Raises ConfigurationError for a name that cannot be used, for a folder that exists (other than `.`), and for a folder
    whose parent is not a folder.
    """
    folder = Path(where)
    if not where.strip():
        # Refuse an empty name, such as `new "$NAME"` with NAME unset: Path("") would be the current folder.
        check_name(where)
    if folder.resolve() == Path.cwd():
        return folder, _name_of_current(folder.resolve().name)
    name = check_name(folder.name)
    _check_folder(folder)
    return folder, name


def _name_of_current(name: str) -> str:
    try:
        return check_name(name)
    except ConfigurationError as error:
        raise ConfigurationError(f"The name of this folder would be the name of the project. {error}") from None


def check_extras(extras: Sequence[str]) -> tuple[str, ...]:
    """Return the extras in a fixed order, with the extras that they depend on.

    Raises ConfigurationError for an unknown extra. Also raises it if both `redis` and `postgres` are given, because a
    project has one journal.
    """
    for extra in extras:
        check_known("--with", extra, EXTRAS)
    if set(STORES) <= set(extras):
        raise ConfigurationError("--with redis,postgres: a project has one journal. Choose redis or postgres.")
    # Kubernetes runs an image, so `k8s` includes the Dockerfile that builds it.
    wanted = {*extras, *(["docker"] if "k8s" in extras else [])}
    return tuple(extra for extra in EXTRAS if extra in wanted)


def check_name(name: str) -> str:
    """Return the name if it is valid. Raises ConfigurationError otherwise."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"The name {name!r} cannot be used: expected at most 64 ASCII letters, digits, - and _, beginning with a "
            f"letter, such as {_suggestion(name)!r}."
        )
    module = module_name(name)
    if keyword.iskeyword(module) or keyword.iskeyword(name):
        raise ConfigurationError(f"The name {name!r} is a Python keyword. Add a word to it, such as '{name}-agent'.")
    if module in sys.stdlib_module_names:
        raise ConfigurationError(
            f"The name {name!r} would hide the standard Python module of that name. "
            f"Add a word to it, such as '{name}-agent'."
        )
    if normalized(name) in required():
        raise ConfigurationError(
            f"The name {name!r} belongs to a package that the project installs. "
            f"Add a word to it, such as '{name}-agent'."
        )
    if module in _TAKEN:
        raise ConfigurationError(f"The name {name!r} is reserved: a part of the project uses it. Choose another name.")
    return name


def _suggestion(name: str) -> str:
    words = re.findall(r"[a-z0-9]+", _ascii(name.lower()))
    return re.sub(r"^[0-9-]+", "", "-".join(words))[:64].strip("-") or "my-agent"


def _ascii(text: str) -> str:
    """Write umlauts as two letters, and other letters without their accents."""
    written = unicodedata.normalize("NFC", text).translate(_WRITTEN)
    return "".join(one for one in unicodedata.normalize("NFKD", written) if not unicodedata.combining(one))


def _check_folder(folder: Path) -> None:
    if folder.exists() or folder.is_symlink():
        raise ConfigurationError(
            f"{folder} exists already, and nothing is overwritten. Choose another name, or run `new .` inside that "
            "folder."
        )
    if not folder.parent.is_dir():
        raise ConfigurationError(f"{folder.parent} is not a folder. Create it first, or give only a name.")


def check_known(option: str, value: str, known: Collection[str]) -> None:
    """Raise ConfigurationError for an unknown value. The message lists the known values and the most similar one."""
    if value not in known:
        close = get_close_matches(value, known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ConfigurationError(f"{option} {value}: unknown; expected one of {', '.join(sorted(known))}.{hint}")


def check_model(model: str | None) -> None:
    """Raise ConfigurationError unless the model is None, `offline`, or PROVIDER:NAME with a known provider."""
    if model is None or model == "offline":
        return
    provider, _, name = model.partition(":")
    if not name or not re.fullmatch(r"[\w.:/@+-]+", name):
        raise ConfigurationError(f"--model {model}: expected PROVIDER:NAME, such as openai:gpt-5-mini, or offline.")
    check_known("--model", provider, PROVIDERS)

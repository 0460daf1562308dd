"""The answers file of a project: what it was made of, by which version, and a digest of each file as it was made."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .._version import __version__
from ..exceptions import ConfigurationError
from .answers import Answers

ANSWERS_FILE = ".layercode-app.json"


class KeptAnswers(BaseModel):
    """What `new` was asked for."""

    model_config = ConfigDict(serialize_by_alias=True)

    name: str
    agent: str
    model: str | None = None
    extras: tuple[str, ...] = Field((), alias="with")


class Kept(BaseModel):
    """The answers file."""

    layercode_app: str
    """The version that made the project, or updated it last."""
    answers: KeptAnswers
    files: dict[str, str]
    """The digest of each file as that version makes it."""
    merge_from: dict[str, str] = {}
    """Of files that went their own way: the digest of what they began from, where it is an older one."""

    def to_json(self) -> str:
        """The text of the file."""
        return self.model_dump_json(indent=2, exclude=set() if self.merge_from else {"merge_from"}) + "\n"


def keep(answers: Answers, files: dict[str, str]) -> Kept:
    """The answers file of a project that is made now; `files` are texts by path."""
    told = KeptAnswers(name=answers.name, agent=answers.agent, model=answers.model, **{"with": answers.extras})
    return Kept(layercode_app=__version__, answers=told, files={path: digest(files[path]) for path in sorted(files)})


def digest(text: str) -> str:
    """The SHA-256 of a file's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def load(folder: Path) -> Kept:
    """The answers file of a project; raises ConfigurationError where there is none that can be read."""
    path = folder / ANSWERS_FILE
    try:
        kept = Kept.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"{path} is not there, so {folder.resolve()} cannot be updated. Expected the folder of a project that "
            "`layercode-create-app new` made, with that file under version control."
        ) from error
    except (OSError, ValidationError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}. Restore it from version control.") from error
    if _numbers(kept.layercode_app) > _numbers(__version__):
        raise ConfigurationError(
            f"The project was made by layercode-app {kept.layercode_app}, and this is {__version__}: "
            "update it with that version or a newer one."
        )
    return kept


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]

"""The answers file of a project: its answers, the version that last wrote it, and digests of the generated files."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .._version import __version__
from ..exceptions import ConfigurationError
from .answers import Answers

ANSWERS_FILE = ".layercode-app.json"


class KeptAnswers(BaseModel):
    """The answers given to `new`."""

    model_config = ConfigDict(serialize_by_alias=True)

    name: str
    agent: str
    model: str | None = None
    extras: tuple[str, ...] = Field((), alias="with")
    vendor: bool = False
    """True if the project contains the wheel that it installs."""


class Kept(BaseModel):
    """The content of a project's answers file, ANSWERS_FILE."""

    layercode_app: str
    """The version that created the project or last updated it."""
    answers: KeptAnswers
    files: dict[str, str]
    """The digest of each text file, by path, as this package generated it. Changes by the user are not included.

    Files that are empty or belong to one machine, such as `.env`, have no digest.
    """
    merge_from: dict[str, str] = {}
    """Maps the path of a file that the user changed to the digest of the generated text before the user's changes.

    Updates merge new versions from this text. If an update replaces the file, its entry is removed.
    """

    def to_json(self) -> str:
        """Return the text of the answers file."""
        unused: dict[str, Any] = {} if self.merge_from else {"merge_from": True}
        unused |= {} if self.answers.vendor else {"answers": {"vendor"}}
        return self.model_dump_json(indent=2, exclude=unused) + "\n"


def keep(answers: Answers, files: dict[str, str]) -> Kept:
    """Return the answers file for a project with these generated files; `files` maps paths to texts."""
    given = KeptAnswers(
        name=answers.name, agent=answers.agent, model=answers.model, vendor=answers.wheel is not None,
        **{"with": answers.extras},
    )  # fmt: skip
    return Kept(layercode_app=__version__, answers=given, files={path: digest(files[path]) for path in sorted(files)})


def digest(text: str) -> str:
    """Return the SHA-256 of a file's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def load(folder: Path) -> Kept:
    """Read the answers file of a project. Raises ConfigurationError if it is missing, malformed or too new."""
    path = folder / ANSWERS_FILE
    try:
        kept = Kept.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"{path} does not exist, so {folder.resolve()} cannot be updated. Expected the folder of a project that "
            "`layercode-create-app new` created. If the file was deleted, restore it from version control."
        ) from error
    except (OSError, ValidationError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}. Restore it from version control.") from error
    if _numbers(kept.layercode_app) > _numbers(__version__):
        raise ConfigurationError(
            f"The project was created by layercode-app {kept.layercode_app}, but this is version {__version__}. "
            "Update the project with the version that created it, or with a newer one."
        )
    return kept


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]

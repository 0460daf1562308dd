"""Render the files of a new project: the chosen agent under its new name, and the other files from templates."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from .._version import __version__
from ..settings import env_example
from .answers import Answers
from .conversations import CONVERSATIONS, DEFAULT
from .kept import ANSWERS_FILE, keep
from .options import COLLECTING, EXTRAS, PROVIDERS, STORES, Template
from .source import NAME, local_source

LOCAL_FILE = ".layercode-app.local"
"""A file with the local path of this package, if the package was not installed from an index. Git ignores the file."""
OWN = {".env", "logs/.gitkeep", "wheels/.gitkeep", LOCAL_FILE}
"""Files without a digest, because they are empty or belong to one machine."""


@dataclass(frozen=True)
class File:
    """A file to write. If it is `private`, only its owner can read it."""

    path: PurePosixPath
    text: str
    private: bool = False
    binary: bytes | None = None
    """The content of a binary file; None for a text file."""

    @property
    def content(self) -> bytes:
        """The bytes to write to the disk."""
        return self.text.encode() if self.binary is None else self.binary


def render(answers: Answers, template: Template, *, secret: str | None = None) -> list[File]:
    """Return every file of the project, sorted by path; `secret` is its webhook secret for development."""
    secret = secret or f"dev-{secrets.token_hex(24)}"
    files = [*_agent(answers, template), *render_templates(answers, secret), *_local(answers)]
    folders = ["logs", *(["wheels"] if "docker" in answers.extras and answers.wheel is None else [])]
    files.extend(File(PurePosixPath(folder, ".gitkeep"), "") for folder in folders)
    kept = keep(answers, {str(file.path): file.text for file in files if str(file.path) not in OWN})
    files.append(File(PurePosixPath(ANSWERS_FILE), kept.to_json()))
    if answers.wheel is not None:
        files.append(File(answers.wheel.path, "", binary=answers.wheel.content))
    return sorted(files, key=lambda file: file.path)


def _agent(answers: Answers, template: Template) -> Iterator[File]:
    """Yield the agent's file and the files that belong to it, renamed from the template's name to the project's."""
    old, new = template.name, answers.module
    quoted = re.compile(rf'(?<=["\']){re.escape(old)}(?=["\'._])')
    source = template.file.read_text(encoding="utf-8")
    yield File(PurePosixPath("agents", f"{new}.py"), quoted.sub(new, source))
    for path in template.companions:
        renamed = PurePosixPath("agents", re.sub(rf"(?<=/){re.escape(old)}(?=[_./])", new, path.as_posix(), count=1))
        yield File(renamed, (template.file.parent / path).read_text(encoding="utf-8"))
    simulated = template.file.parent / "evals" / f"{old}.yaml"
    if simulated.exists():
        text = simulated.read_text(encoding="utf-8").replace(f"agent: {old}\n", f"agent: {new}\n", 1)
        yield File(PurePosixPath("evals", f"{new}_simulated.yaml"), text)


def _local(answers: Answers) -> Iterator[File]:
    """Yield LOCAL_FILE if layercode-app was installed from a local checkout or wheel.

    The file tells the Makefile of the project to install layercode-app from there. Nothing is yielded for a project
    that contains a copy of the wheel, because each machine installs that copy.
    """
    if answers.wheel is None and (path := local_source()) is not None:
        yield File(PurePosixPath(LOCAL_FILE), f"{NAME}{_own_extras(answers)} @ {path.resolve().as_uri()}\n")


def render_templates(answers: Answers, secret: str = "", *, source: bool = False) -> Iterator[File]:
    """Render `templates/project/` and the folder of each extra. `NAME` in a path stands for the agent's name.

    With `source`, the project is this package's own repository: its containers install the package from the checkout.
    """
    environment = _environment()
    given = _context(answers, secret) | {"source": source} | ({"module": answers.agent} if source else {})
    for name in environment.list_templates():
        folder, _, rest = name.partition("/")
        if folder != "project" and folder not in answers.extras:
            continue
        text = environment.get_template(name).render(given)
        if text.strip():
            path = PurePosixPath(rest.removesuffix(".jinja").replace("NAME", answers.module).replace("DOT", "."))
            yield File(path, text, private=path.name == ".env")


def _own_extras(answers: Answers) -> str:
    """Return the extras of this package that the project needs, as in a requirement: "[collect,redis]"."""
    names = ["collect"] if answers.agent in COLLECTING else []
    names += [store for store in STORES if store in answers.extras]
    return f"[{','.join(names)}]" if names else ""


@cache
def _environment() -> Environment:
    """Return the template environment; it is cached, so that templates are compiled once."""
    environment = Environment(
        loader=PackageLoader("layercode_app.scaffold"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - no page contains untrusted text; names are checked
    )
    environment.filters["quoted"] = lambda text: json.dumps(text, ensure_ascii=False)
    return environment


def _context(answers: Answers, secret: str) -> dict[str, Any]:
    provider = PROVIDERS.get(answers.provider or "")
    return {
        "name": answers.name,
        "module": answers.module,
        "agent": answers.agent,
        "model": answers.model,
        "provider_key": provider.key if provider else "OPENAI_API_KEY",
        "provider_extra": provider.extra if provider else "",
        "own_extras": _own_extras(answers),
        "extras": {extra: extra in answers.extras for extra in EXTRAS},
        "shared": any(store in answers.extras for store in STORES),
        "secret": secret,
        "version": __version__,
        "wheel": answers.wheel.name if answers.wheel else "",
        "asks_model": answers.provider is not None,
        "conversation": CONVERSATIONS.get(answers.agent, DEFAULT),
        "env_example": env_example(),
    }

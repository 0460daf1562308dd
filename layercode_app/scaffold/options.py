"""The options of a new project: gallery agents, extras and model providers."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

EXTRAS = {
    "web": "A page and an embeddable widget on the official browser SDK",
    "docker": "Dockerfile and compose file",
    "k8s": "Kubernetes manifests with probes and a drain period",
    "github": "Two GitHub workflows: one runs the tests, the other plays the scenarios offline",
    "redis": "Redis as the journal, for more than one machine",
    "postgres": "PostgreSQL as the journal, for more than one machine and for SQL",
}
"""Maps each value of `--with` to what it adds."""
STORES = ("redis", "postgres")
"""The extras that choose the journal. A project has at most one of them.

Each of them needs the pip extra of this package that has the same name.
"""
COLLECTING = {"front_desk", "phone_intake"}
"""The gallery agents that need the extra `collect` of this package."""


@dataclass(frozen=True)
class Provider:
    """A provider of models, and what a project needs to use it."""

    key: str
    """The environment variable of its API key."""
    extra: str
    """The extra of pydantic-ai-slim that installs the provider's client.

    It is empty if the provider is called with OpenAI's client, which is always installed.
    """


PROVIDERS = {
    "anthropic": Provider("ANTHROPIC_API_KEY", "anthropic"),
    "cohere": Provider("CO_API_KEY", "cohere"),
    "google": Provider("GOOGLE_API_KEY", "google"),
    "groq": Provider("GROQ_API_KEY", "groq"),
    "mistral": Provider("MISTRAL_API_KEY", "mistral"),
    "openai": Provider("OPENAI_API_KEY", ""),
    "openrouter": Provider("OPENROUTER_API_KEY", ""),
    "xai": Provider("XAI_API_KEY", "xai"),
}
"""The providers of `--model PROVIDER:NAME`."""


@dataclass(frozen=True)
class Template:
    """An example agent that a project can start from: its Python file, and the other files that it needs."""

    name: str
    title: str
    file: Path
    companions: tuple[Path, ...]
    """The paths of the agent's prompts, data and knowledge, relative to the folder of `file`."""


def templates(gallery: Path) -> dict[str, Template]:
    """Return the example agents in the folder `gallery`, by name."""
    files = (path for path in sorted(gallery.glob("*.py")) if not path.name.startswith("_"))
    return {path.stem: _template(path) for path in files}


def _template(path: Path) -> Template:
    title = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or path.stem).splitlines()[0]
    mine = re.compile(rf"(prompts|data|knowledge)/{re.escape(path.stem)}(_[a-z]+)?(\.|/)")
    beside = (found.relative_to(path.parent) for found in sorted(path.parent.rglob("*")) if found.is_file())
    return Template(path.stem, title, path, tuple(found for found in beside if mine.match(found.as_posix())))

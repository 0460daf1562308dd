"""Run `new`: ask for missing answers on a terminal, check them, write the files, and print the next steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...exceptions import ConfigurationError
from ...output.terminal import answers as person_answers
from ...output.terminal import ask, print_json, print_line

if TYPE_CHECKING:
    from ...scaffold.answers import Answers
    from ...scaffold.options import Template


@dataclass
class Given:
    """The command-line arguments; None means not given."""

    name: str | None
    agent: str | None
    model: str | None
    extras: list[str] | None
    vendor: bool | None = None
    git: bool | None = None
    dry_run: bool = False
    as_json: bool = False
    yes: bool = False

    @property
    def asks(self) -> bool:
        """True if questions may be asked: on a terminal, if neither --yes nor --json is given."""
        return not self.yes and not self.as_json and person_answers()


def gallery() -> dict[str, Template]:
    """Return the agents shipped with this package, from which a project can start."""
    from ...agent.shipped import BUILT_IN
    from ...scaffold.options import templates

    return templates(next(folder for folder in BUILT_IN if folder.is_dir()))


def make(given: Given) -> None:
    """Create the project. Raises ConfigurationError for a wrong answer, before anything is written."""
    from ...scaffold.answers import check

    known = gallery()
    if given.asks:
        _ask(given, known)
    if given.name is None:
        raise ConfigurationError(
            "NAME is missing. Run `layercode-create-app new my-agent`, or `new .` for this folder."
        )
    answers = check(
        given.name,
        agent=given.agent or "starter",
        model=given.model or None,
        extras=split(given.extras),
        known_agents=known,
    )
    _create(given, answers, known[answers.agent])


def _create(given: Given, answers: Answers, template: Template) -> None:
    """Write the files, create the repository, and report both. With --dry-run, only report."""
    # Import these modules only here: they are slow to import, and are not needed to report a wrong answer.
    from ...scaffold.git import create_repository
    from ...scaffold.render import render
    from ...scaffold.vendoring import choose
    from ...scaffold.write import check_free, write
    from .report import Made, report

    repository = _wants_repository(given, answers.folder)
    check_free(answers.folder, render(answers, template))
    vendoring = choose(given.vendor)
    answers = replace(answers, wheel=vendoring.wheel)
    files = render(answers, template)
    if not given.dry_run:
        write(answers.folder, files)
        repository = repository and create_repository(answers.folder)
    made = Made(answers, files, vendoring.why, created=not given.dry_run, repository=repository)
    report(made, as_json=given.as_json)


def _wants_repository(given: Given, folder: Path) -> bool:
    """Return whether to run `git init`. Raises ConfigurationError if --git was given and git is missing."""
    from ...scaffold import git

    if given.git and not git.is_installed():
        raise ConfigurationError("--git: git is not installed. Install it, or use --no-git.")
    return given.git is not False and git.is_installed() and not git.in_repository(folder)


def split(extras: Sequence[str] | None) -> list[str]:
    """Return the values of `--with web,docker --with k8s` as one list."""
    return [part.strip() for group in extras or () for part in group.split(",") if part.strip()]


# --- asking


def _ask(given: Given, known: Mapping[str, Template]) -> None:
    """Ask for each argument that was not given; ask again after a wrong answer."""
    from ...scaffold.answers import check_extras, check_known, check_model, check_place
    from ...scaffold.options import EXTRAS

    if given.name is None:
        given.name = _ask_until_valid("Name", "my-agent", check_place)
    if given.agent is None:
        _list({name: template.title for name, template in known.items()})
        given.agent = _ask_until_valid("Agent", "starter", lambda agent: check_known("--agent", agent, known))
    if given.model is None:
        print_line(("A model such as openai:gpt-5-mini. Leave it empty to answer offline, from a script.", "dim"))
        given.model = _ask_until_valid("Model", "", lambda model: check_model(model or None))
    if given.extras is None:
        _list(EXTRAS)
        given.extras = [_ask_until_valid("Extras (comma-separated)", "", lambda typed: check_extras(split([typed])))]


def _ask_until_valid(question: str, default: str, check: Callable[[str], object]) -> str:
    while True:
        answer: str = ask(question, default=default, show_default=bool(default)).strip()
        try:
            check(answer)
        except ConfigurationError as error:
            print_line((str(error), "red"))
        else:
            return answer


def _list(choices: Mapping[str, str]) -> None:
    width = max(map(len, choices))
    for name, title in choices.items():
        print_line(f"  {name:<{width}}  {title}")


# --- printing


def show_options(*, as_json: bool) -> None:
    """Print the agents, extras and model providers."""
    from ...scaffold.options import EXTRAS, PROVIDERS

    agents = {name: template.title for name, template in gallery().items()}
    if as_json:
        print_json({"agents": agents, "with": EXTRAS, "models": sorted(PROVIDERS)})
        return
    for title, choices in (("--agent", agents), ("--with", EXTRAS)):
        print_line(title)
        _list(choices)
    print_line("--model")
    print_line(f"  PROVIDER:NAME, where PROVIDER is one of {', '.join(sorted(PROVIDERS))}")

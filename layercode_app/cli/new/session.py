"""What `new` does: ask where somebody is there to answer, check, write, and say what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...exceptions import ConfigurationError
from ...output.terminal import answers as person_answers
from ...output.terminal import ask, print_json, print_line

if TYPE_CHECKING:
    from ...scaffold.answers import Answers
    from ...scaffold.options import Template
    from ...scaffold.render import File


@dataclass
class Given:
    """What the command line was given; None is not given."""

    name: str | None
    agent: str | None
    model: str | None
    extras: list[str] | None
    dry_run: bool = False
    as_json: bool = False
    yes: bool = False

    @property
    def asks(self) -> bool:
        """Whether somebody is there to answer."""
        return not self.yes and not self.as_json and person_answers()


def gallery() -> dict[str, Template]:
    """The agents to begin with: those shipped with this package."""
    from ...agent.shipped import BUILT_IN
    from ...scaffold.options import templates

    return templates(next(folder for folder in BUILT_IN if folder.is_dir()))


def make(given: Given) -> None:
    """Make the project, or say what is wrong and write nothing."""
    from ...scaffold.answers import check

    known = gallery()
    if given.asks:
        _ask(given, known)
    if given.name is None:
        raise ConfigurationError("NAME is missing: layercode-create-app new my-agent (or . for this folder).")
    answers = check(
        given.name,
        agent=given.agent or "starter",
        model=given.model or None,
        extras=split(given.extras),
        known_agents=known,
    )
    # Only now: these take their time to import, and a refusal needs none of it.
    from ...scaffold.render import render
    from ...scaffold.write import check_free, write

    files = render(answers, known[answers.agent])
    check_free(answers.folder, files)
    if not given.dry_run:
        write(answers.folder, files)
    _report(given, answers, files)


def split(extras: Sequence[str] | None) -> list[str]:
    """`--with web,docker --with k8s` as a list."""
    return [part.strip() for group in extras or () for part in group.split(",") if part.strip()]


# --- asking


def _ask(given: Given, known: Mapping[str, Template]) -> None:
    """A question for each thing that was not given; an answer that cannot be is asked for again."""
    from ...scaffold.answers import check_extras, check_known, check_model, check_place
    from ...scaffold.options import EXTRAS

    if given.name is None:
        given.name = _until_right("Name", "my-agent", check_place)
    if given.agent is None:
        _list({name: template.title for name, template in known.items()})
        given.agent = _until_right("Agent to begin with", "starter", lambda agent: check_known("--agent", agent, known))
    if given.model is None:
        print_line(("A model such as openai:gpt-5-mini, or nothing: it then answers offline, from a script.", "dim"))
        given.model = _until_right("Model", "", lambda model: check_model(model or None))
    if given.extras is None:
        _list(EXTRAS)
        given.extras = [_until_right("With (comma-separated)", "", lambda typed: check_extras(split([typed])))]


def _until_right(question: str, default: str, check: Callable[[str], object]) -> str:
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


# --- telling


def show_options(*, as_json: bool) -> None:
    """Print what there is to choose from."""
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


def _report(given: Given, answers: Answers, files: Sequence[File]) -> None:
    steps = _next_steps(answers)
    if given.as_json:
        told = {
            "name": answers.name,
            "folder": str(answers.folder.resolve()),
            "agent": answers.module,
            "written": not given.dry_run,
            "files": [str(file.path) for file in files],
            "next": steps,
        }
        print_json(told)
        return
    print_line(f"{'Would write' if given.dry_run else 'Wrote'} {len(files)} files to {answers.folder}:")
    if given.dry_run:
        for file in files:
            print_line(f"  {file.path}")
        return
    for step in steps:
        print_line(f"  {step}")


def _next_steps(answers: Answers) -> list[str]:
    """Three lines, each a command and what it does."""
    here = answers.folder.resolve() == Path.cwd()
    return [
        "git init     # if it is not a repository yet" if here else f"cd {shlex.quote(str(answers.folder))}",
        "make run     # talk to it: no account, no key",
        f"make test    # then make it yours in agents/{answers.module}.py",
    ]

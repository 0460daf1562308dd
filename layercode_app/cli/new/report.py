"""Report the files that `new` created, and the next steps."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...output.terminal import print_json, print_line
from ...scaffold.answers import Answers
from ...scaffold.options import PROVIDERS
from ...scaffold.render import File


@dataclass(frozen=True)
class Made:
    """The project that `new` created, or that it would create without --dry-run."""

    answers: Answers
    files: Sequence[File]
    why: str
    """The reason why the project contains the wheel, or why the project can be installed only on this machine.

    Empty if neither is true.
    """
    created: bool
    """False for a dry run."""
    repository: bool
    """True if `git init` created a repository, or would create one in a dry run."""


def report(made: Made, *, as_json: bool) -> None:
    """Print what was created and the next steps."""
    if as_json:
        _print_json(made)
        return
    files = f"{len(made.files)} files to {made.answers.folder}"
    print_line(f"{'Wrote' if made.created else 'Would write'} {files}:")
    for file in made.files if not made.created else ():
        print_line(f"  {file.path}")
    for step in next_steps(made) if made.created else ():
        print_line(f"  {step}")
    if made.why:
        print_line(made.why)


def _print_json(made: Made) -> None:
    wheel = made.answers.wheel
    print_json(
        {
            "name": made.answers.name,
            "folder": str(made.answers.folder.resolve()),
            "agent": made.answers.module,
            "written": made.created,
            "files": [str(file.path) for file in made.files],
            "vendored": str(wheel.path) if wheel else None,
            "why": made.why,
            "git_init": made.repository,
            "next": next_steps(made),
        }
    )


def next_steps(made: Made) -> list[str]:
    """Return the commands to run next. Most end with a comment."""
    answers = made.answers
    provider = PROVIDERS.get(answers.provider or "")
    run = (
        f"put {provider.key} into .env, then talk to the agent" if provider else "talk to the agent: no account, no key"
    )
    commit = "git add --all && git commit --message 'Create the project'"
    steps = {
        f"cd {shlex.quote(str(answers.folder))}": "",
        "make run": run,
        "make test": f"then edit agents/{answers.module}.py",
        commit: "" if made.repository else "run git init first if this folder is not in a repository",
    }
    if answers.folder.resolve() == Path.cwd():
        del steps[next(iter(steps))]
    return [f"{step:<12} # {comment}" if comment else step for step, comment in steps.items()]

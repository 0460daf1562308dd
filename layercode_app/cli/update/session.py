"""What `update` does: plan, show, ask where somebody is there to answer, apply, and say what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

from ...exceptions import ConfigurationError
from ...output.terminal import answers as person_answers
from ...output.terminal import confirm, print_json, print_line
from ..new.session import gallery, split

if TYPE_CHECKING:
    from ...scaffold.answers import Answers
    from ...scaffold.kept import Kept
    from ...scaffold.update import Step

_COLORS = {"+": "green", "-": "red", "@": "cyan"}


@dataclass(frozen=True)
class Given:
    """What the command line was given."""

    folder: Path
    extras: list[str] | None
    dry_run: bool = False
    as_json: bool = False
    yes: bool = False

    @property
    def asks(self) -> bool:
        """Whether somebody is there to answer."""
        return not (self.yes or self.as_json or self.dry_run) and person_answers()


def make(given: Given) -> list[Step]:
    """Update the project, or say what is wrong and change nothing; returns what there was to do."""
    from ...scaffold.kept import ANSWERS_FILE, Kept, load
    from ...scaffold.render import render
    from ...scaffold.update import apply, outcome, plan

    kept = load(given.folder)
    answers = _answers(given, kept)
    files = render(answers, gallery()[answers.agent])
    now = Kept.model_validate_json(next(file.text for file in files if str(file.path) == ANSWERS_FILE))
    steps = plan(given.folder, kept, files)
    if not given.as_json:
        _show(kept, now, steps)
    doing = not given.dry_run and outcome(kept, now, steps) != kept
    if doing and given.asks and steps:
        confirm("Do it?", default=True)
    if doing:
        apply(given.folder, steps, outcome(kept, now, steps))
    _report(given, kept, now, steps)
    return steps


def _answers(given: Given, kept: Kept) -> Answers:
    """The answers that were kept, with the extras that are added now; all of them checked again."""
    from ...scaffold.answers import Answers, check_extras, check_model, check_name

    told = kept.answers
    if told.agent not in gallery():
        raise ConfigurationError(
            f"The project began with the agent {told.agent!r}, which this version does not have, so it cannot tell "
            "what is new for it. Stay with the version that made it; what you have goes on working."
        )
    check_model(told.model)
    extras = check_extras([*told.extras, *split(given.extras)])
    return Answers(given.folder, check_name(told.name), told.agent, told.model, extras)


def _show(kept: Kept, now: Kept, steps: list[Step]) -> None:
    if not steps:
        return
    for step in steps:
        if step.action in ("change", "merge", "beside"):
            _show_diff(step)
    since = f"From {kept.layercode_app} to" if kept.layercode_app != now.layercode_app else "With"
    print_line(f"{since} {now.layercode_app}:")
    width = max(len(step.path) for step in steps)
    for step in steps:
        print_line(f"  {step.action:<6}  {step.path:<{width}}  {step.why}".rstrip())


def _show_diff(step: Step) -> None:
    before, after = ((text or "").splitlines() for text in (step.before, step.text))
    yours = step.path if step.action != "beside" else f"{step.path.rpartition('.new')[0]} (yours)"
    for line in unified_diff(before, after, yours, step.path, lineterm=""):
        print_line((line, _COLORS.get(line[0], "")))
    print_line()


def _report(given: Given, kept: Kept, now: Kept, steps: list[Step]) -> None:
    by_hand = [step.path for step in steps if step.action == "beside"]
    if given.as_json:
        told = {
            "from": kept.layercode_app,
            "to": now.layercode_app,
            "written": not given.dry_run,
            "files": [{"path": step.path, "action": step.action, "why": step.why} for step in steps],
            "by_hand": by_hand,
        }
        print_json(told)
        return
    if not steps:
        print_line(f"Up to date with {now.layercode_app}.")
    elif not given.dry_run:
        if by_hand:
            print_line(f"By hand: compare {', '.join(by_hand)} with yours, and remove what you have taken over.")
        print_line("  make test    # installs what is new, and tests it")

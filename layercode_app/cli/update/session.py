"""Run `update`: plan the steps, show them, ask on a terminal, apply them, and print what to do next."""

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
    """The command-line arguments."""

    folder: Path
    extras: list[str] | None
    vendor: bool | None = None
    dry_run: bool = False
    as_json: bool = False
    yes: bool = False

    @property
    def asks(self) -> bool:
        """True if the user must confirm the changes: on a terminal, if none of --yes, --json and --dry-run is given."""
        return not (self.yes or self.as_json or self.dry_run) and person_answers()


def make(given: Given) -> list[Step]:
    """Update the project and return the steps. If it cannot be updated, raise ConfigurationError and change nothing."""
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
    changes = any(step.action != "keep" for step in steps) or outcome(kept, now, steps) != kept
    doing = changes and not given.dry_run
    if doing and given.asks and steps:
        confirm("Apply these changes?", default=True)
    if doing:
        apply(given.folder, steps, outcome(kept, now, steps))
    _report(given, kept, now, steps)
    return steps


def _answers(given: Given, kept: Kept) -> Answers:
    """Return the project's saved answers plus the extras of --with. Check all values again."""
    from ...scaffold.answers import Answers, check_extras, check_model, check_name
    from ...scaffold.vendored_wheel import build

    saved = kept.answers
    if saved.agent not in gallery():
        raise ConfigurationError(
            f"The project was created from the agent {saved.agent!r}, which this version does not have, so the project "
            "cannot be updated. Keep the version that created it; the project still works with that version."
        )
    check_model(saved.model)
    extras = check_extras([*saved.extras, *split(given.extras)])
    wheel = build() if (saved.vendor if given.vendor is None else given.vendor) else None
    return Answers(given.folder, check_name(saved.name), saved.agent, saved.model, extras, wheel)


def _show(kept: Kept, now: Kept, steps: list[Step]) -> None:
    if not steps:
        return
    for step in steps:
        if step.action in ("change", "merge", "beside") and step.binary is None:
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
    from ...scaffold.source import NAME, local_source

    by_hand = [step.path for step in steps if step.action == "beside"]
    if given.as_json:
        report = {
            "from": kept.layercode_app,
            "to": now.layercode_app,
            "written": not given.dry_run,
            "files": [{"path": step.path, "action": step.action, "why": step.why} for step in steps],
            "by_hand": by_hand,
        }
        print_json(report)
        return
    if not now.answers.vendor and (path := local_source()) is not None:
        print_line(
            f"The project installs {NAME} from {path}, so the project can be installed only on this machine. "
            "`update --vendor` puts the wheel into the project."
        )
    if not steps:
        print_line(f"Up to date with {now.layercode_app}.")
    elif not given.dry_run:
        if by_hand:
            print_line(
                f"To merge by hand: {', '.join(by_hand)}. Each is the new version of a file that you changed. Copy its "
                "changes into your file, then remove the new version."
            )
        print_line("  make test    # installs new dependencies and runs the tests")

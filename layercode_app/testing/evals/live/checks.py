"""Check the `end:` of a scenario after a live call: one check for each key except `judge`, which needs a model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from ..expectations import failed
from ..simulated.end_spec import End
from ..simulated.grade import Call, grade, place
from ..simulated.simulated_caller import Account

JUDGES = "judge"
"""The key of `end` that needs a model."""


@dataclass(frozen=True)
class Check:
    """The check of one key of `end`: the expected value, and the failures. Without failures, the check passed."""

    name: str
    expected: str
    failures: tuple[str, ...] = ()


def checks_of(end: End | None, call: Call, account: Account) -> list[Check]:
    """Return the checks that need no model, graded as in `eval`.

    A call with a failed turn, or one that was stopped by `max_turns`, always fails. Without an `end`, a call also fails
    if the caller did not get what they wanted.
    """
    found = list(_of_keys(end, call)) if end else []
    if failures := tuple(f"{place(*each)}: {reason}" for each in call.numbered for reason in failed(each[1])):
        found.append(Check("no turn fails", "", failures))
    if end is None or account.hung_up == "max_turns":
        reasons = (account.unfinished,) if account.unfinished else ()
        found.append(Check("comes to its end", "", reasons))
    return found


def _of_keys(end: End, call: Call) -> Iterator[Check]:
    for name in End.model_fields:
        if name in end.model_fields_set and name != JUDGES:
            wanted = end.model_dump(mode="json", include={name}, exclude_unset=True)[name]
            only = End.model_validate({name: wanted})
            yield Check(name, json.dumps(wanted, ensure_ascii=False), tuple(grade(only, call)))

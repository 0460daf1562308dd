"""A caller's words become the value that the caller meant. Words without a clear value lead to a question.

The tests call the functions that understand the words directly, without an agent.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from layercode_app.collect import address, choice, code, date, email, money, name, number, phone, time, yes_no
from layercode_app.collect.understood import Incomplete, Result, Unclear, Understood

from . import heard_forms as forms

NOW = datetime(2026, 11, 25, 10, 0)
CODE = "[A-Z0-9]{3,10}"

Understand = Callable[[str], Result[Any]]
KINDS: dict[str, tuple[Understand, list[tuple[str, Any]]]] = {
    "email": (email.understand, forms.EMAILS),
    "phone": (phone.understand, forms.PHONES),
    "date": (partial(date.understand, today=forms.TODAY), forms.DATES),
    "birthday": (partial(date.understand, today=forms.TODAY, direction="past"), forms.BIRTHDAYS),
    "time": (partial(time.understand, now=NOW), forms.TIMES),
    "number": (number.understand, forms.NUMBERS),
    "money": (money.understand, forms.AMOUNTS),
    "name": (name.understand, forms.NAMES),
    "address": (address.understand, forms.ADDRESSES),
    "choice": (partial(choice.understand, options=forms.SIZES), forms.CHOICES),
    "yes_no": (yes_no.understand, forms.ANSWERS),
    "code": (partial(code.understand, pattern=CODE), forms.CODES),
}
HEARD = [(kind, heard, value) for kind, (_, rows) in KINDS.items() for heard, value in rows]
ASKED = [(kind, heard) for kind, rows in forms.ASKED_BACK.items() for heard in rows]


def test_the_table_is_large_and_has_twenty_forms_of_each_common_kind() -> None:
    assert len(HEARD) >= 150
    for kind in ("email", "phone", "date", "time", "number", "money", "name", "yes_no", "code"):
        assert len({heard for heard, _ in KINDS[kind][1]}) >= 20, kind


@pytest.mark.parametrize(("kind", "heard", "value"), HEARD, ids=lambda part: str(part))
def test_a_heard_form_is_understood(kind: str, heard: str, value: Any) -> None:
    assert KINDS[kind][0](heard) == Understood(value)


@pytest.mark.parametrize(("kind", "heard"), ASKED)
def test_what_is_no_value_is_asked_back(kind: str, heard: str) -> None:
    result = KINDS[kind][0](heard)
    assert isinstance(result, Incomplete | Unclear), result
    assert result.ask.rstrip()[-1] in ".?"


@pytest.mark.parametrize(
    "heard", ["I don't have one", "what do you mean", "can you repeat that", "hello", "I need a table", "call me back"]
)
def test_another_answer_is_no_beginning_of_an_address(heard: str) -> None:
    assert isinstance(email.understand(heard), Unclear)

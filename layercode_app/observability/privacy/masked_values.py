"""Mask secrets and phone numbers in values such as the fields of a log line.

A value is masked completely if its name shows that it is a secret. In any other text, only the secrets and phone
numbers are masked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...wellformed import text_of
from .caller_secrets import SECRET_NAMES, is_secret_name
from .masking import MASK, clean, clean_key

SHORTEST_NUMBER = 100_000
"""Smaller numbers are no secrets."""


def masked(value: Any, name: str = "", *, text: Callable[[str], str] = clean) -> Any:
    """Return the value with secrets and phone numbers masked.

    `name` is the name of the value. A text or a large number with the name of a secret, such as "token", is masked
    completely. Any other text is passed to the function `text`, which masks parts of it. With `masking.without_secrets`
    as this function, personal data is not masked.
    """
    if isinstance(value, str):
        return MASK if value and is_secret_name(name) else text(value)
    if isinstance(value, Mapping):
        return {clean_key(str(key), text=text): masked(part, str(key), text=text) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(part, name, text=text) for part in value]
    if is_secret_number(value, name):
        return MASK
    return value if value is None or isinstance(value, (bool, int, float)) else text(text_of(value))


def is_secret_number(value: Any, name: str) -> bool:
    """Return whether the value is a number that may be a secret.

    This is the case if the number without its sign is at least `SHORTEST_NUMBER`, and `name` ends like the name of a
    secret.
    """
    return isinstance(value, int) and abs(value) >= SHORTEST_NUMBER and name.lower().endswith(SECRET_NAMES)

"""Private parts of Pydantic: the class of the errors of its Rust code."""

from __future__ import annotations


def is_panic(error: BaseException) -> bool:
    """Return whether Pydantic's Rust code panicked, for example because another thread changed a dict during a dump.

    The error of a panic is not an `Exception`, and its class cannot be imported, so it is recognized by its name. If a
    release of Pydantic renames the class, the result is False. Then the dump is not repeated, and the turn ends with an
    apology.
    """
    return type(error).__name__ == "PanicException"

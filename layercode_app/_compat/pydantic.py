"""Private parts of Pydantic: the class of the errors of its Rust code."""

from __future__ import annotations


def is_panic(error: BaseException) -> bool:
    """Return whether Pydantic's Rust code panicked, for example because another thread changed a dict during a dump.

    Such an error is no Exception, and its class cannot be imported. If the class gets another name, the result is
    False, so the dump is not repeated, and the turn ends with an apology.
    """
    return type(error).__name__ == "PanicException"

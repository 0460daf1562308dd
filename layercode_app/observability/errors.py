"""Errors by category: what kind of thing went wrong, whoever raised it."""

from __future__ import annotations

from collections.abc import Iterator

RULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("rate_limit", ("ModelRateLimitError", "ModelQuotaExceededError", "RateLimitError", "ModelOverloadedError")),
    ("authentication", ("ModelAuthenticationError", "AuthenticationError", "PermissionDeniedError", "SignatureError")),
    ("timeout", ("TimeoutError", "ModelRequestTimeout", "ModelTimeoutError", "TimeoutException", "RunTimedOut")),
    ("network", ("ModelConnectionError", "ModelAPIError", "APIConnectionError", "TransportError", "ConnectionError")),
    ("store", ("StoreError",)),
    ("overload", ("OverloadedError",)),
    ("budget", ("BudgetExceededError", "UsageLimitExceeded")),
    ("parsing", ("UnexpectedModelBehavior", "ValidationError", "JSONDecodeError", "EventError", "StateError")),
    ("tool", ("ToolError", "ToolTimeoutError")),
)
"""Category and the names of the classes that belong to it; a class also belongs where one of its bases does.

By name, because naming the classes would import every library that has one.
"""

CATEGORIES = (*(category for category, _ in RULES), "internal")


def category_of(error: BaseException) -> str:
    """The category of an error: its own, or that of what caused it, else "internal"."""
    for link in _chain(error):
        if known := getattr(link, "layercode_category", None):
            return str(known)
        names = {base.__name__ for base in type(link).__mro__}
        for category, members in RULES:
            if names.intersection(members):
                return category
    return "internal"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, what is in it when it is a group, and what it was raised from."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        link = waiting.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        if isinstance(link, BaseExceptionGroup):
            waiting += link.exceptions
        if link.__cause__ is not None:
            waiting.append(link.__cause__)

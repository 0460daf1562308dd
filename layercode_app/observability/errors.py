"""Errors by category: what kind of thing went wrong, whoever raised it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

RULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("rate_limit", ("ModelRateLimitError", "ModelQuotaExceededError", "RateLimitError", "ModelOverloadedError")),
    ("authentication", ("ModelAuthenticationError", "AuthenticationError", "PermissionDeniedError", "SignatureError")),
    ("timeout", ("TimeoutError", "ModelRequestTimeout", "ModelTimeoutError", "TimeoutException", "RunTimedOut")),
    ("content_filter", ("ContentFilterError",)),
    ("length", ("OutputTokenLimitExceeded", "IncompleteToolCall")),
    ("bad_request", ("ModelRequestRejectedError", "BadRequestError", "UnprocessableEntityError", "NotFoundError")),
    ("bad_response", ("APIResponseValidationError",)),
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

_UNREADABLE = {"JSONDecodeError", "UnicodeDecodeError", "APIResponseValidationError", "ValidationError"}
"""What a provider's library raises for an answer that it cannot parse."""
_FILTERED = re.compile(r"content_?(filter|policy)|safety|moderation|refusal", re.IGNORECASE)
_MODEL_CODE = ("pydantic_ai.models.", "openai.", "anthropic.", "google.genai.", "groq.", "mistralai.")
"""Modules that parse the answers of models."""
_CODE = re.compile(r"[\w.\[\]/:-]{1,80}")
"""What a code, a type or the name of a parameter may look like. Anything else may be a caller's words."""

CATEGORIES = (*(category for category, _ in RULES), "internal")


def category_of(error: BaseException) -> str:
    """The category of an error: its own, or that of what caused it, else "internal"."""
    for link in _chain(error):
        if known := getattr(link, "layercode_category", None):
            return str(known)
        names = {base.__name__ for base in type(link).__mro__}
        for category, members in RULES:
            if names.intersection(members):
                return _refined(category, link)
    return "bad_response" if _raised_by_model_code(error) else "internal"


def _refined(category: str, error: BaseException) -> str:
    """Tell a provider's refusal and an answer that cannot be parsed from the errors they look like."""
    if category == "bad_request" and _FILTERED.search(f"{_code(error)} {_type(error)}"):
        return "content_filter"
    if category == "network" and any(type(link).__name__ in _UNREADABLE for link in _chain(error)):
        return "bad_response"
    return category


def _raised_by_model_code(error: BaseException) -> bool:
    """Whether the code that reads models' answers stumbled over one, such as over a list in place of an object."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and str(last.tb_frame.f_globals.get("__name__", "")).startswith(_MODEL_CODE)


def detail_of(error: BaseException) -> str:
    """A provider's status, type, code and parameter of an error; never its text, which may quote the caller."""
    for link in _chain(error):
        status = getattr(link, "status_code", None)
        found = [f"HTTP {status}"] if isinstance(status, int) else []
        found += [text for text in (_type(link), _code(link)) if text]
        if (parameter := _safe(_body(link).get("param"))) is not None:
            found.append(f"parameter {parameter}")
        if found:
            return ", ".join(dict.fromkeys(found))
    return ""


def _code(error: BaseException) -> str:
    return _safe(getattr(error, "provider_error_code", None)) or ""


def _type(error: BaseException) -> str:
    return _safe(getattr(error, "provider_error_type", None)) or ""


def _body(error: BaseException) -> Mapping[str, Any]:
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, Mapping) else None
    return inner if isinstance(inner, Mapping) else {}


def _safe(value: object) -> str | None:
    return value if isinstance(value, str) and _CODE.fullmatch(value) else None


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

"""Classify errors by what went wrong, independently of the library that raised them."""

from __future__ import annotations

import asyncio
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
"""Each category with the names of its error classes. Subclasses of these classes also belong to the category.

Names are compared, because comparing classes would require importing every library.
"""

_UNREADABLE = {"JSONDecodeError", "UnicodeDecodeError", "APIResponseValidationError", "ValidationError"}
"""Errors that a provider's library raises for an answer that it cannot parse."""
_FILTERED = re.compile(r"content_?(filter|policy)|safety|moderation|refusal", re.IGNORECASE)
_MODEL_CODE = ("pydantic_ai.models.", "openai.", "anthropic.", "google.genai.", "groq.", "mistralai.")
"""Modules that parse the answers of models."""
_CODE = re.compile(r"[\w.\[\]/:-]{1,80}")
"""Matches an error's code, type or parameter. Text that does not match is not shown: it may quote the caller."""

CATEGORIES = (*(category for category, _ in RULES), "internal")


def ends_task(error: BaseException) -> bool:
    """Return whether an error ends the running task from outside, and is not a failure of the code that raised it.

    A CancelledError of a task that was not cancelled is a failure: the agent's own code raised it.
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, GeneratorExit)


def ends_process(error: BaseException) -> bool:
    """Return whether an error is meant to end the process."""
    return isinstance(error, KeyboardInterrupt | SystemExit)


def category_of(error: BaseException) -> str:
    """Return the category of an error or of its cause, else "internal"."""
    for link in chain(error):
        if known := getattr(link, "layercode_category", None):
            return str(known)
        names = {base.__name__ for base in type(link).__mro__}
        for category, members in RULES:
            if names.intersection(members):
                return _refined(category, link)
    return "bad_response" if _raised_by_model_code(error) else "internal"


def _refined(category: str, error: BaseException) -> str:
    """Return a more specific category if the error is a content filter's refusal or an answer that cannot be parsed.

    Otherwise return `category`.
    """
    if category == "bad_request" and _FILTERED.search(f"{_code(error)} {_type(error)}"):
        return "content_filter"
    if category == "network" and any(type(link).__name__ in _UNREADABLE for link in chain(error)):
        return "bad_response"
    return category


def _raised_by_model_code(error: BaseException) -> bool:
    """Return whether code that parses models' answers raised the error.

    Such code fails, for example, if an answer is a list in place of an object.
    """
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and str(last.tb_frame.f_globals.get("__name__", "")).startswith(_MODEL_CODE)


def detail_of(error: BaseException) -> str:
    """Return a provider error's status, type, code and parameter, but not its text, which may quote the caller."""
    for link in chain(error):
        status = getattr(link, "status_code", None)
        found = [f"HTTP {status}"] if isinstance(status, int) else []
        found += [text for text in (_type(link), _code(link)) if text]
        if (parameter := _safe(body_of(link).get("param"))) is not None:
            found.append(f"parameter {parameter}")
        if found:
            return ", ".join(dict.fromkeys(found))
    return ""


def _code(error: BaseException) -> str:
    return _safe(getattr(error, "provider_error_code", None)) or ""


def _type(error: BaseException) -> str:
    return _safe(getattr(error, "provider_error_type", None)) or ""


def body_of(error: BaseException) -> Mapping[str, Any]:
    """Return the error that a provider sent as JSON; empty if the response had no JSON error."""
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, Mapping) else None
    return inner if isinstance(inner, Mapping) else {}


def _safe(value: object) -> str | None:
    return value if isinstance(value, str) and _CODE.fullmatch(value) else None


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, the members of error groups, and all causes."""
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

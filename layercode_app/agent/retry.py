"""Which model errors are worth a second try."""

from __future__ import annotations

from ..observability.errors import category_of

TRANSIENT = {"rate_limit", "network", "timeout"}


def transient(error: BaseException) -> bool:
    """Whether the same request may succeed a moment later."""
    from pydantic_ai.exceptions import ModelAPIError, ModelQuotaExceededError, ModelRequestRejectedError

    if isinstance(error, ModelQuotaExceededError | ModelRequestRejectedError):
        return False
    category = category_of(error)
    return category == "bad_response" or (
        isinstance(error, ModelAPIError | BaseExceptionGroup) and category in TRANSIENT
    )

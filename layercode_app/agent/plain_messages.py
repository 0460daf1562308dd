"""Bring model messages and tool results into a form that can be encoded, and read more than once.

Unpaired surrogates are replaced, because a provider's client cannot encode them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import fields, is_dataclass, replace
from typing import Any

from pydantic_ai.exceptions import ToolFailedError, ToolRetryError
from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter, ModelResponse, ToolReturn, ToolReturnPart
from pydantic_core import PydanticSerializationError, to_jsonable_python

from ..wellformed import plain, text_of, well_formed


def dump_messages(messages: Sequence[ModelMessage]) -> bytes:
    """Encode messages as JSON for the journal.

    A response may be cut between the two surrogates of a character, and the metadata of a tool result may be an object
    of any type. Such an object becomes its `str`.
    """
    try:
        return ModelMessagesTypeAdapter.dump_json(list(messages), fallback=text_of)
    except PydanticSerializationError:
        return ModelMessagesTypeAdapter.dump_json(_cleaned(list(messages)), fallback=text_of)


def clean_response(response: ModelResponse) -> ModelResponse:
    """Return a response with surrogate pairs joined and unpaired surrogates replaced.

    If the response has no surrogates, the same object is returned.
    """
    parts: list[Any] = [_cleaned_part(part) for part in response.parts]
    same = all(one is other for one, other in zip(parts, response.parts, strict=True))
    return response if same else replace(response, parts=parts)


def jsonable(value: Any) -> Any:
    """Return the value as plain JSON, for the journal."""
    return plain(_jsonable(value))


def clean_result(result: Any) -> Any:
    """Return a tool's result for the model.

    This is the same object, or a cleaned JSON copy if a model request could not contain the object as it is. A
    generator or another iterator becomes a list, because both the journal and the model read it.
    """
    if isinstance(result, ToolReturn):
        return replace(result, return_value=clean_result(result.return_value), content=_cleaned(result.content))
    result = _listed(result)
    given = _jsonable(result)
    kept = plain(given)
    return result if kept == given else kept


def clean_refusal(error: BaseException) -> None:
    """Clean the text of a tool's error in place, because the model will read it."""
    if isinstance(error, ToolRetryError):
        error.tool_retry.content = _cleaned(error.tool_retry.content)
    elif isinstance(error, ToolFailedError):
        error.tool_failed.content = _cleaned(error.tool_failed.content)


def refusal_of(error: ToolRetryError | ToolFailedError, call_id: str) -> ToolRetryError | ToolFailedError:
    """Return a copy of a tool call's error, as the result of another tool call, whose id is `call_id`."""
    if isinstance(error, ToolFailedError):
        return ToolFailedError(replace(error.tool_failed, tool_call_id=call_id))
    part = error.tool_retry
    return ToolRetryError(replace(part, tool_call_id=call_id) if isinstance(part, ToolReturnPart) else part)


def _listed(value: Any) -> Any:
    """Return the value with each iterator replaced by a list; the same object if it contains no iterator."""
    if isinstance(value, Iterator):
        return [_listed(item) for item in value]
    if isinstance(value, dict):
        made = {key: _listed(item) for key, item in value.items()}
        return value if all(made[key] is item for key, item in value.items()) else made
    if isinstance(value, list | tuple):
        items = [_listed(item) for item in value]
        return value if all(one is other for one, other in zip(items, value, strict=True)) else items
    return value


def _jsonable(value: Any) -> Any:
    # PydanticAI also encodes bytes as Base64 for the model.
    try:
        return to_jsonable_python(value, bytes_mode="base64", serialize_unknown=True)
    except UnicodeEncodeError:  # an unpaired surrogate in a key
        return to_jsonable_python(_cleaned(value), bytes_mode="base64", serialize_unknown=True)


def _cleaned_part(part: Any) -> Any:
    content, args = getattr(part, "content", ""), getattr(part, "args", "")
    if _is_ascii(content) and _is_ascii(args):
        return part
    return _cleaned(part)


def _is_ascii(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.isascii())


def _cleaned(value: Any) -> Any:
    """Return the value with unpaired surrogates replaced in all its texts; the same object if nothing changes."""
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, dict):
        made: Any = {_cleaned(key): _cleaned(item) for key, item in value.items()}
        return value if made == value else made
    if isinstance(value, list | tuple):
        items = [_cleaned(item) for item in value]
        return value if all(one is other for one, other in zip(items, value, strict=True)) else items
    if is_dataclass(value) and not isinstance(value, type):
        return _cleaned_fields(value)
    return value


def _cleaned_fields(value: Any) -> Any:
    made = value
    for field in fields(value):
        before = getattr(value, field.name)
        if (after := _cleaned(before)) is not before:
            made = copy(value) if made is value else made
            object.__setattr__(made, field.name, after)
    return made

"""Convert the values that an agent sends to the caller's page, or passes to a task, to plain JSON."""

from __future__ import annotations

from pydantic_core import to_jsonable_python

from ..exceptions import DeveloperError
from ..journal.record import Json
from ..wellformed import plain


def to_json(what: str, content: object) -> Json:
    """Return the content as JSON. Pydantic converts models, dataclasses, dates, sets and the like.

    Raises DeveloperError, which names the type, if the content cannot be converted. `what` is the beginning of the
    error's message. Without this check, the error would be raised only when all frames of the turn are encoded
    together, and the turn's words would be lost, too.
    """
    try:
        return to_jsonable_python(content)
    except UnicodeEncodeError:  # an unpaired surrogate in a key
        return plain(content)
    except ValueError as error:
        raise DeveloperError(
            f"{what}: a value in {type(content).__name__} cannot be converted to JSON: {error}. Expected text, numbers, "
            "lists, dictionaries, dates, dataclasses or Pydantic models. To leave out fields of a Pydantic model, "
            "remove them from the dictionary that its `.model_dump()` returns, and pass this dictionary."
        ) from None

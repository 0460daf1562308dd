"""Read the JSON body of a request, and write the JSON body of an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from ..exceptions import PlatformAPIError
from ..journal.record import Json
from ..journal.record_json import to_json
from ..wellformed import load_json

ModelT = TypeVar("ModelT", bound=BaseModel)


async def read(request: Request, model: type[ModelT], *, parse: Callable[[bytes], Any] = load_json) -> ModelT:
    """Parse the body with `parse`, and return it as a model.

    Raises PlatformAPIError (400) if the body is not JSON, or if a field is wrong.
    """
    try:
        return model.model_validate(parse(await request.body()))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        raise PlatformAPIError(f"{where}: {first['msg']}", status=400) from None
    except ValueError as error:
        raise PlatformAPIError(f"The body is not JSON: {error}", status=400) from None


def json_answer(value: Json, status: int = 200) -> Response:
    """Return an answer with a JSON body and the header `Cache-Control: no-store`."""
    return Response(to_json(value), status, {"cache-control": "no-store"}, "application/json")

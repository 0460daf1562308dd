"""Avoid needless work of the OpenAI client before each request.

This work takes more time than all other parts of a turn. The client compares each value of a request with the types
that the value's parameter allows, to convert the values that are not JSON. With 30 earlier turns this takes 20 ms for
Chat Completions and 40 ms for Responses, and blocks the event loop. PydanticAI's values are JSON already, so the client
would convert none of them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final

SENDS_JSON: Final = ("openai.resources.chat.completions.completions", "openai.resources.responses.responses")
"""The client's modules that convert the values of a request.

In the types of these requests, every field has the same name and format in Python and in JSON.
"""
CONVERTER: Final = "async_maybe_transform"
NOT_SENT: Final = frozenset({"Omit", "NotGiven"})
"""The client's types for a parameter that was not given."""
SCALARS: Final = frozenset({str, int, float, bool, type(None)})


def send_json_as_is() -> bool:
    """Let the client send JSON values without converting them; return whether that was possible.

    The client has no public option for this. This function therefore replaces the client's internal converter. If the
    installed release of the client has no converter named CONVERTER, the values are still converted.
    """
    modules = [module for name in SENDS_JSON if (module := sys.modules.get(name)) and hasattr(module, CONVERTER)]
    for module in modules:
        convert = getattr(module, CONVERTER)
        if not hasattr(convert, "converts_others"):
            setattr(module, CONVERTER, _only_others(convert))
    return bool(modules)


def keep_copies(client: Any) -> bool:
    """Make a client reuse the copies that `with_options` makes; return whether it is an OpenAI client.

    PydanticAI asks for such a copy in each request, because our settings set `max_retries`. The public way would be to
    set `max_retries` of the client itself, which would also change requests that are not ours.
    """
    openai = sys.modules.get("openai")
    if openai is None or not isinstance(client, openai.AsyncOpenAI):
        return False
    if "with_options" in vars(client):
        return True
    make = client.with_options
    copies: dict[Any, tuple[dict[str, Any], Any]] = {}

    def with_options(**options: Any) -> Any:
        if not _only_retries(client, options):
            return make(**options)
        retries = options["max_retries"]
        found = copies.get(retries)
        if found is None or not _is_as(client, found[0]):
            # The client's attributes at the time of the copy. If they change later, another copy is made.
            found = copies[retries] = (dict(vars(client)), make(**options))
        return found[1]

    client.with_options = with_options
    return True


def _only_retries(client: Any, options: Mapping[str, Any]) -> bool:
    """Return whether these options of `with_options` change only `max_retries`, as PydanticAI's options do."""
    same_http = options.get("http_client") is getattr(client, "_client", None)
    return options.keys() <= {"http_client", "max_retries", "_extra_kwargs"} and (
        isinstance(options.get("max_retries"), int) and same_http and not options.get("_extra_kwargs")
    )


def _is_as(client: Any, before: Mapping[str, Any]) -> bool:
    now = vars(client)
    return all(name in now and (now[name] is value or now[name] == value) for name, value in before.items())


def _only_others(convert: Any) -> Any:
    """Return a function that converts the parameters of a request as `convert` does, but faster.

    A dict of parameters may contain the client's markers for parameters that were not given. These entries are left
    out. If all other values are JSON, the dict is returned without conversion.
    """

    async def converted(data: object, expected_type: object) -> Any:
        if isinstance(data, dict):
            given = {key: value for key, value in data.items() if type(value).__name__ not in NOT_SENT}
            if is_json(given):
                return given
        return await convert(data, expected_type)

    converted.converts_others = convert  # type: ignore[attr-defined]
    return converted


def is_json(value: object) -> bool:
    """Return whether a value consists only of JSON types.

    Subclasses of these types do not count, and neither do models, tuples or iterators.
    """
    kind = type(value)
    if kind in SCALARS:
        return True
    if kind is dict:
        return all(type(key) is str and is_json(inner) for key, inner in value.items())  # type: ignore[attr-defined]
    return kind is list and all(map(is_json, value))  # type: ignore[call-overload]

"""Tasks of an agent: functions whose calls are enqueued as jobs in the journal."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, get_type_hints

from loguru import logger

from ..exceptions import HookError
from ..journal.record import Json


def mark_task(function: Callable[..., Awaitable[Any]]) -> str:
    """Mark a function as a task, and return its name."""
    function.layercode_task = function.__name__  # type: ignore[attr-defined]
    return function.__name__


def task_name(function: Callable[..., Awaitable[Any]]) -> str:
    """Return the name of a task. Raises HookError if the function is not a task."""
    name = getattr(function, "layercode_task", None)
    if name is None:
        shown = getattr(function, "__qualname__", repr(function))
        raise HookError(
            f"turn.background({shown}): expected a coroutine, such as {shown}(...), or a task of the agent. "
            f"To make {shown} a task, put @agent.task above it."
        )
    return str(name)


def typed_arguments(function: Callable[..., Awaitable[Any]], arguments: Mapping[str, Json]) -> dict[str, Any]:
    """Convert the arguments of a task from JSON to the types of its parameters: the journal stores a date as text.

    An argument without an annotation, or with one that Pydantic cannot use, stays as it is. So does a value that does
    not fit its annotation; then a warning is logged.
    """
    parameters = inspect.signature(function).parameters
    names = getattr(inspect.unwrap(function), "__globals__", {})
    return {
        name: _typed(value, parameters[name], names) if name in parameters else value
        for name, value in arguments.items()
    }


def _typed(value: Json, parameter: inspect.Parameter, names: dict[str, Any]) -> Any:
    from pydantic import TypeAdapter, ValidationError

    if parameter.annotation is inspect.Parameter.empty:
        return value
    with suppress(Exception):  # an annotation may be any code, and the developer's validators may raise any error
        try:
            return TypeAdapter(_type_of(parameter, names)).validate_python(value)
        except ValidationError as error:
            # Without the value, which may be the caller's.
            logger.warning(
                "The task's argument {!r} does not fit its type, so the task gets its JSON value: {}",
                parameter.name,
                error.errors()[0]["type"],
            )
    return value


def _type_of(parameter: inspect.Parameter, names: dict[str, Any]) -> Any:
    """Evaluate the annotation of this parameter only.

    The annotations of other parameters may contain names that are imported only for type checkers.
    """

    def only() -> None: ...

    only.__annotations__ = {parameter.name: parameter.annotation}
    return get_type_hints(only, names, include_extras=True)[parameter.name]

"""Find the types that an agent's output may have, and make example arguments for an output tool."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

OUTPUT_TOOL = "final_result"
"""The name that PydanticAI gives to an output tool if there is only one."""
EXAMPLES: dict[Any, Any] = {str: "Hello", int: 1, float: 1.0, bool: True}


def spoken_kinds(output: Any) -> list[Any]:
    """Return the types that an output may have, without PydanticAI's wrappers around them such as `ToolOutput`."""
    return list(dict.fromkeys(_kinds(output)))


def _kinds(output: Any) -> Iterator[Any]:
    from pydantic_ai import DeferredToolRequests, NativeOutput, PromptedOutput, TextOutput, ToolOutput

    if isinstance(output, list | tuple):
        for one in output:
            yield from _kinds(one)
    elif get_origin(output) in (Union, UnionType):
        for one in get_args(output):
            yield from _kinds(one)
    elif isinstance(output, NativeOutput | PromptedOutput):
        yield from _kinds(output.outputs)
    elif isinstance(output, ToolOutput):
        yield from _kinds(output.output)
    elif isinstance(output, TextOutput):
        yield from _kinds(output.output_function)
    elif inspect.isroutine(output):
        yield get_type_hints(output).get("return", Any)
    elif output is not DeferredToolRequests:
        # The toolkit itself speaks about tool calls that wait for an approval.
        yield output


def has_functions(output: Any) -> bool:
    """Return whether a function creates the output.

    Such a function is not called to make an example, because it may have side effects.
    """
    from pydantic_ai import TextOutput, ToolOutput

    if isinstance(output, list | tuple):
        return any(map(has_functions, output))
    inner = getattr(output, "output", None) if isinstance(output, ToolOutput) else output
    return isinstance(output, TextOutput) or inspect.isroutine(inner)


def example_of(output: Any) -> tuple[str, dict[str, Any]] | None:
    """Return the name of an output tool and example arguments for it; None if there is no tool or no valid example."""
    from pydantic_ai import Agent
    from pydantic_ai.messages import ToolCallPart
    from pydantic_ai.models.test import TestModel

    if inspect.isroutine(output):
        return OUTPUT_TOOL, _arguments(output)
    if has_functions(output):
        return None
    try:
        # Not `run_sync`, which leaves its event loop open.
        result = asyncio.run(Agent(TestModel(call_tools=[]), output_type=output).run("Hello"))
    except Exception:  # noqa: BLE001 - the user's validators may reject any made-up value
        return None
    parts = [part for message in result.all_messages() for part in message.parts]
    calls = [(part.tool_name, part.args_as_dict()) for part in parts if isinstance(part, ToolCallPart)]
    return calls[-1] if calls else None


def _arguments(function: Any) -> dict[str, Any]:
    """Return an example value for each argument that a model passes to an output function."""
    hints = get_type_hints(function)
    named = [name for name in inspect.signature(function).parameters if "RunContext" not in str(hints.get(name))]
    return {name: EXAMPLES.get(hints.get(name, str)) for name in named}


def only_text_field(kind: Any) -> str:
    """Return the name of a Pydantic model's only string field; "" if there are none or several."""
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return ""
    texts = [name for name, field in kind.model_fields.items() if field.annotation is str]
    return texts[0] if len(texts) == 1 else ""

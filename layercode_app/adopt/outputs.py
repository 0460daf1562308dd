"""Find the types that an agent's output may have, and make examples of a model's answer."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from ..wellformed import dump_json

if TYPE_CHECKING:
    from pydantic_ai.models import Model

OUTPUT_TOOL = "final_result"
"""The name that PydanticAI gives to an output tool if there is only one."""
EXAMPLES: dict[Any, Any] = {str: "Hello", int: 1, float: 1.0, bool: True}


def spoken_kinds(output: Any) -> list[Any]:
    """Return the types that an output may have, without PydanticAI's wrappers around them such as `ToolOutput`."""
    return list(dict.fromkeys(_kinds(output)))


def _kinds(output: Any) -> Iterator[Any]:
    from pydantic_ai import DeferredToolRequests, TextOutput, ToolOutput

    if isinstance(output, list | tuple):
        for one in output:
            yield from _kinds(one)
    elif get_origin(output) in (Union, UnionType):
        for one in get_args(output):
            yield from _kinds(one)
    elif _inside(output) is not output:
        yield from _kinds(_inside(output))
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

    inner = _inside(output)
    if isinstance(inner, list | tuple):
        return any(map(has_functions, inner))
    inner = inner.output if isinstance(inner, ToolOutput) else inner
    return isinstance(inner, TextOutput) or inspect.isroutine(inner)


def example_of(output: Any) -> tuple[str, dict[str, Any]] | str | None:
    """Return an example of a model's answer; None if no valid example is found.

    The example is the name of an output tool and its arguments. If the model answers with JSON text, the example is
    such a text.
    """
    if inspect.isroutine(output):
        arguments = _arguments(output)
        return None if None in arguments.values() else (OUTPUT_TOOL, arguments)
    if has_functions(output):
        return None
    return _tool_call(output) if _inside(output) is output else _json_text(output)


def output_tool(output: Any) -> str:
    """Return the name of the first tool with which a model can answer; "" if a model answers with text."""
    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.models.function import AgentInfo, FunctionModel

    names: list[str] = []

    def answer(messages: object, info: AgentInfo) -> ModelResponse:
        names.extend(tool.name for tool in info.output_tools)
        raise ValueError("The names of the output tools are known now, so this run of the agent is not continued.")

    _parts(FunctionModel(answer), output)
    return names[0] if names else ""


def _inside(output: Any) -> Any:
    """Return the types within a `NativeOutput` or `PromptedOutput`, and any other output unchanged."""
    from pydantic_ai import NativeOutput, PromptedOutput

    return output.outputs if isinstance(output, NativeOutput | PromptedOutput) else output


def _tool_call(output: Any) -> tuple[str, dict[str, Any]] | None:
    from pydantic_ai.messages import ToolCallPart
    from pydantic_ai.models.test import TestModel

    parts = _parts(TestModel(call_tools=[]), output)
    calls = [(part.tool_name, part.args_as_dict()) for part in parts if isinstance(part, ToolCallPart)]
    return calls[-1] if calls else None


def _json_text(output: Any) -> str | None:
    """Return an example of the JSON text that a model answers for a `NativeOutput` or `PromptedOutput`.

    The example fits the first of the output types. Return None if no valid example is found.
    """
    from pydantic_ai import ToolOutput
    from pydantic_ai.messages import ModelResponse, TextPart
    from pydantic_ai.models.function import FunctionModel

    first, *others = _kinds(output)
    call = _tool_call(ToolOutput(first))
    if call is None:
        return None
    text = dump_json({"result": {"kind": first.__name__, "data": call[1]}} if others else call[1]).decode()
    model = FunctionModel(lambda messages, info: ModelResponse(parts=[TextPart(text)]))
    return text if _parts(model, output) else None


def _parts(model: Model, output: Any) -> list[Any]:
    """Return the parts of all messages of a run; [] if the output type rejects the model's answer."""
    from pydantic_ai import Agent

    try:
        # Do not use `run_sync`, because it leaves its event loop open.
        result = asyncio.run(Agent(model, output_type=output).run("Hello"))
    except Exception:  # noqa: BLE001 - the user's validators may reject any made-up value
        return []
    return [part for message in result.all_messages() for part in message.parts]


def _arguments(function: Any) -> dict[str, Any]:
    """Return an example value for each argument that a model passes to an output function, by the argument's name.

    The value is None for an argument whose type is not in EXAMPLES.
    """
    hints = get_type_hints(function)
    named = [name for name in inspect.signature(function).parameters if "RunContext" not in str(hints.get(name))]
    return {name: EXAMPLES.get(hints.get(name, str)) for name in named}


def only_text_field(kind: Any) -> str:
    """Return the name of a Pydantic model's only string field; "" if there are none or several."""
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return ""
    texts = [name for name, field in kind.model_fields.items() if field.annotation is str]
    return texts[0] if len(texts) == 1 else ""

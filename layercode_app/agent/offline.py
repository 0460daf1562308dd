"""The model that needs no model: an agent's own script, played through PydanticAI's real machinery.

Tools really run, spans and frames are the real ones; only the words come from the script.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

from ..conversation.cost import FREE_MODEL

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage
    from pydantic_ai.models.function import AgentInfo, FunctionModel

MODEL_NAME = FREE_MODEL
PACE_SECONDS = 0.015
"""Between two words, so that a script streams as a model does."""

_call_ids = count(1)


@dataclass(frozen=True)
class Call:
    """A tool call in a script: `yield Call("add_item", {"item": "croissant", "quantity": 2})`."""

    name: str
    args: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answered(Call):
    """A tool call of this turn that was answered."""

    result: Any = None


@dataclass(frozen=True)
class Scene:
    """What a script sees each time the model would have been asked.

    `text` is what the caller said last, `said` all that they said, oldest first, and `answered` the tool calls of this
    turn with their results, in the order they were made.
    """

    text: str
    answered: Sequence[Answered]
    said: Sequence[str]
    messages: Sequence[ModelMessage]
    info: AgentInfo

    @property
    def results(self) -> dict[str, Any]:
        """The results of the tools called in this turn, by name; of one that was called again, the last."""
        return {call.name: call.result for call in self.answered}

    @property
    def turns(self) -> int:
        """How many times the caller has spoken."""
        return len(self.said)

    @property
    def retry(self) -> bool:
        """Whether the agent has just refused the model's answer or call, and asks for a better one."""
        from pydantic_ai.messages import RetryFeedbackPart

        return any(isinstance(part, RetryFeedbackPart) or _refused(part) for part in self.messages[-1].parts)

    def offers(self, tool: str) -> bool:
        """Whether a tool, or an output tool, of that name may be called: which of several agents is asking."""
        return any(known.name == tool for known in [*self.info.function_tools, *self.info.output_tools])

    def says(self, *words: str) -> bool:
        """Whether the caller's text holds one of the words, in any case."""
        return any(word.lower() in self.text.lower() for word in words)


Script: TypeAlias = Callable[[Scene], AsyncIterator[str | Call]]
"""Yields text to speak, and tool calls; it is asked again once the tools have answered."""


def offline_model(script: Script | None, *, pace: float = PACE_SECONDS) -> FunctionModel:
    """A model that plays the script; without one it says that it is offline, and repeats the caller's words."""
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
    from pydantic_ai.models.function import DeltaToolCall, FunctionModel

    played = script or _default_script

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        said = calls = 0
        async for piece in played(scene_of(messages, info)):
            if isinstance(piece, Call):
                calls += 1
                call_id = f"offline-{next(_call_ids)}"
                yield {calls: DeltaToolCall(piece.name, orjson.dumps(piece.args).decode(), tool_call_id=call_id)}
                continue
            for word in words(piece):
                if said:
                    await asyncio.sleep(pace)
                said += 1
                yield word
        if not said and not calls:
            yield ""

    async def whole(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        """The same script for an agent that does not stream."""
        pieces = [piece async for piece in played(scene_of(messages, info))]
        text = "".join(piece for piece in pieces if isinstance(piece, str))
        calls = [ToolCallPart(piece.name, piece.args) for piece in pieces if isinstance(piece, Call)]
        return ModelResponse(parts=[*([TextPart(text)] if text or not calls else []), *calls])

    return FunctionModel(whole, stream_function=stream, model_name=MODEL_NAME)


def scene_of(messages: Sequence[ModelMessage], info: AgentInfo) -> Scene:
    """What the messages of a request amount to."""
    from pydantic_ai.messages import ToolCallPart, ToolReturnPart, UserPromptPart

    texts: list[str] = []
    args: dict[str, dict[str, Any]] = {}
    answered: list[Answered] = []
    for part in (part for message in messages for part in message.parts):
        if isinstance(part, UserPromptPart) and isinstance(part.content, str):
            if not part.content.startswith("["):
                texts.append(part.content)
                answered = []
        elif isinstance(part, ToolCallPart):
            args[part.tool_call_id] = part.args_as_dict()
        elif isinstance(part, ToolReturnPart) and not _refused(part):
            answered.append(Answered(part.tool_name, args.get(part.tool_call_id, {}), part.content))
    return Scene(texts[-1] if texts else "", answered, texts, messages, info)


def _refused(part: object) -> bool:
    """Whether a tool, or an output's validator, sent a call back to be made better."""
    return getattr(part, "outcome", None) == "retried"


def words(text: str) -> list[str]:
    """The text in the pieces in which a model would stream it."""
    *whole, last = text.split(" ")
    return [word + " " for word in whole] + ([last] if last else [])


async def _default_script(scene: Scene) -> AsyncIterator[str | Call]:
    yield f"I am running offline, without a model. You said: {scene.text}"

"""The offline model, which plays an agent's script through PydanticAI, without a provider.

Tools run, and spans and frames are the same as in a real run. Only the words and the tool calls come from the script.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

from ..exceptions import DeveloperError, HookError
from ..journal.cost import FREE_MODEL
from . import sentence
from .message_prompt import TAKEN_OVER

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage
    from pydantic_ai.models.function import AgentInfo, FunctionModel

MODEL_NAME = FREE_MODEL
PACE_SECONDS = 0.015
"""The pause between two words, so that a script streams like a model."""

_call_ids = count(1)


@dataclass(frozen=True)
class Call:
    """A tool call in a script: `yield Call("add_item", {"item": "croissant", "quantity": 2})`."""

    name: str
    args: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answered(Call):
    """A tool call of this turn that has returned, with its result."""

    result: Any = None


@dataclass(frozen=True)
class Scene:
    """The input of a script for one model request.

    `text` is the caller's last message, and `said` holds all messages of the caller, oldest first. `answered` holds the
    tool calls of this turn with their results, in the order of the results.
    """

    text: str
    answered: Sequence[Answered]
    said: Sequence[str]
    messages: Sequence[ModelMessage]
    info: AgentInfo

    @property
    def results(self) -> dict[str, Any]:
        """The results of this turn's tool calls, by tool name; the last result if a tool was called several times."""
        return {call.name: call.result for call in self.answered}

    @property
    def turns(self) -> int:
        """The number of messages from the caller, including this one."""
        return len(self.said)

    @property
    def retry(self) -> bool:
        """Whether the agent has just rejected the model's answer or tool call, and asks the model to try again."""
        from pydantic_ai.messages import RetryFeedbackPart

        return any(isinstance(part, RetryFeedbackPart) or _refused(part) for part in self.messages[-1].parts)

    def offers(self, tool: str) -> bool:
        """Return whether the model may call a tool or output tool of this name. Useful if agents share a script."""
        return any(known.name == tool for known in [*self.info.function_tools, *self.info.output_tools])

    def says(self, *words: str) -> bool:
        """Return whether the caller's text contains one of the words, ignoring case."""
        return any(word.lower() in self.text.lower() for word in words)

    def match(self, pattern: str) -> re.Match[str] | None:
        """Return the first match of a regular expression in the caller's text, ignoring case; None without a match."""
        return re.search(pattern, self.text, re.IGNORECASE)

    @property
    def when(self) -> str:
        """The first date or time of day in the caller's text, such as "tomorrow at seven"; "" if none. English only."""
        return sentence.when(self.text)

    @property
    def digits(self) -> str:
        """All digits in the caller's text, written or spoken in English: "one oh four 2" is 1042."""
        return sentence.digits(self.text)

    @property
    def numbers(self) -> list[int]:
        """The numbers in the caller's text, written or spoken in English, except those in times such as "at seven"."""
        return sentence.numbers(self.text)

    def quantity(self, item: str) -> int:
        """Return the number shortly before an item, as in "three warm croissants"; 1 if there is none."""
        return sentence.quantity(self.text, item)


Script: TypeAlias = Callable[[Scene], AsyncIterator[str | Call]]
"""An async generator function that yields tool calls, and texts to speak. It is called again after the tools return."""


NOTES = ("[", "<system>")
"""Prefixes of notes to the model, which the caller did not say. "<system>" is PydanticAI's, "[" is this package's."""
MOST_REPEATS = 3
"""The maximum number of identical tool calls that a script may make in one turn."""


def _check_progress(call: Call, scene: Scene) -> None:
    """Raise DeveloperError if a script repeats the same call. It would otherwise go on until a limit ends the turn."""
    same = sum((done.name, done.args) == (call.name, call.args) for done in scene.answered)
    if same >= MOST_REPEATS:
        raise DeveloperError(
            f"The offline script has called {call.name}({call.args}) {same} times in this turn. The script runs again "
            f"after each tool call: check scene.results first, such as `if {call.name!r} in scene.results: yield ...`."
        )


def _play(script: Script, scene: Scene) -> AsyncIterator[str | Call]:
    """Call the script. Raises HookError if it returns something other than an async iterator."""
    pieces = script(scene)
    if not hasattr(pieces, "__aiter__"):
        raise HookError(
            f"The offline script returned {pieces!r}; expected an async generator: `async def` with `yield`."
        )
    return pieces


def _check_piece(piece: object) -> None:
    """Raise HookError unless a script yielded a text, or a Call with the name of a tool and a dictionary."""
    given: tuple[object, object] = (piece.name, piece.args) if isinstance(piece, Call) else (piece, {})
    if not isinstance(given[0], str) or not isinstance(given[1], Mapping):
        raise HookError(
            f"The offline script yielded {piece!r}; expected a text, or a Call such as "
            "Call('add_item', {'quantity': 2})."
        )


def offline_model(script: Script | None, *, pace: float = PACE_SECONDS) -> FunctionModel:
    """Return a model that plays the script. Without a script, it says that it is offline and repeats the caller's text."""
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
    from pydantic_ai.models.function import DeltaToolCall, FunctionModel

    played = script or _default_script

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        said = calls = 0
        scene = scene_of(messages, info)
        async for piece in _play(played, scene):
            _check_piece(piece)
            if isinstance(piece, Call):
                _check_progress(piece, scene)
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
        """Play the script at once, for a run that does not stream."""
        pieces = [piece async for piece in _play(played, scene_of(messages, info))]
        for piece in pieces:
            _check_piece(piece)
        text = "".join(piece for piece in pieces if isinstance(piece, str))
        calls = [ToolCallPart(piece.name, piece.args) for piece in pieces if isinstance(piece, Call)]
        return ModelResponse(parts=[*([TextPart(text)] if text or not calls else []), *calls])

    return FunctionModel(whole, stream_function=stream, model_name=MODEL_NAME)


def scene_of(messages: Sequence[ModelMessage], info: AgentInfo) -> Scene:
    """Build the scene from a request's messages. A text that begins with one of NOTES is not from the caller."""
    from pydantic_ai.messages import ToolCallPart, ToolReturnPart, UserPromptPart

    texts: list[str] = []
    args: dict[str, dict[str, Any]] = {}
    answered: list[Answered] = []
    for part in (part for message in messages for part in message.parts):
        if isinstance(part, UserPromptPart) and isinstance(part.content, str):
            note = part.content.startswith(NOTES)
            if not note:
                texts.append(part.content)
            if not note or TAKEN_OVER in part.content:
                answered = []
        elif isinstance(part, ToolCallPart):
            args[part.tool_call_id] = part.args_as_dict()
        elif isinstance(part, ToolReturnPart) and not _refused(part):
            answered.append(Answered(part.tool_name, args.get(part.tool_call_id, {}), part.content))
    return Scene(texts[-1] if texts else "", answered, texts, messages, info)


def _refused(part: object) -> bool:
    """Return whether a tool or an output validator rejected a call and asked the model to try again."""
    return getattr(part, "outcome", None) == "retried"


def words(text: str) -> list[str]:
    """Split the text into words, each with the space after it, as a model would stream them."""
    *whole, last = text.split(" ")
    return [word + " " for word in whole] + ([last] if last else [])


async def _default_script(scene: Scene) -> AsyncIterator[str | Call]:
    yield f"I am running offline, without a model. You said: {scene.text}"

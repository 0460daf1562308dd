"""The model of a replay. It returns the recorded answers, and calls no real model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from ..agent.offline import MODEL_NAME, Script, offline_model, words
from ..exceptions import LayerCodeError
from ..journal.record import TurnRecord
from .recording import responses_of

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import Model
    from pydantic_ai.models.function import AgentInfo, FunctionModel


HOOK_SECONDS = 0.3
"""The delay of each answer in a turn in which the agent's code spoke.

The hook `while_thinking` is stopped when the answer begins. Without the delay, it would be stopped before speaking.
"""


class NothingRecordedError(LayerCodeError):
    """The agent requested a model answer that is not in the recording."""


class RecordedModel:
    """A model that answers the requests of one turn in order, as the recorded model did.

    A recording does not contain the answers that helper agents got. If the turn was recorded offline, `script`
    provides these answers.
    """

    def __init__(self, turn: TurnRecord, *, conversation_id: str, script: Script | None) -> None:
        self._answers = responses_of(turn)
        self._turn = turn
        self._conversation_id = conversation_id
        self._helper = offline_model(script, pace=0.0) if turn.model in (MODEL_NAME, "") else None
        self._spoken_over = any(part.source == "say" for part in turn.speech)
        self.asked = 0
        """The number of requests that the agent made."""

    @property
    def recorded(self) -> int:
        """The number of recorded answers."""
        return len(self._answers)

    @property
    def exhausted(self) -> bool:
        """Whether the agent made more requests than were recorded. False if the recorded turn ended with an error."""
        return self.asked > self.recorded and self._turn.error is None

    def model(self) -> Model:
        """Return the PydanticAI model.

        It has the name of the offline model. Because of this name, `turn.helper_model` returns it for helper agents
        too, so they call no real model.
        """
        from pydantic_ai.models.function import FunctionModel

        return FunctionModel(self._whole, stream_function=self._stream, model_name=MODEL_NAME)

    async def _stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        if not self._is_own(messages):
            async for piece in self._asked_of_helper().stream_function(messages, info):  # type: ignore[misc]
                yield piece
            return
        answer = self._next()
        if self._spoken_over:
            await asyncio.sleep(HOOK_SECONDS)
        for piece in _pieces(answer):
            yield piece

    async def _whole(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if self._is_own(messages):
            return self._next()  # type: ignore[no-any-return]
        return await self._asked_of_helper().function(messages, info)  # type: ignore[misc, no-any-return]

    def _is_own(self, messages: Sequence[ModelMessage]) -> bool:
        """Return whether the agent itself made the request. A helper agent's request has another conversation id.

        A request with the conversation id of the recording counts as the agent's own, because the recorded messages
        have this id. A request without an id counts as the agent's own, too. For example, after an interrupted turn
        the recorded history ends with a note, and PydanticAI merges the note and the new request into one message
        without an id.
        """
        return messages[-1].conversation_id in (self._conversation_id, self._turn.conversation_id, None)

    def _asked_of_helper(self) -> FunctionModel:
        if self._helper is None:
            raise NothingRecordedError("A helper agent called its model, whose answers are not in the recording.")
        return self._helper

    def _next(self) -> Any:
        self.asked += 1
        if self.asked <= self.recorded:
            return self._answers[self.asked - 1]
        if self._turn.error == "TimeoutError":
            raise TimeoutError("The recorded model did not answer in time.")
        raise NothingRecordedError(
            f"The recording holds {self.recorded} answers, but the agent called the model once more."
        )


def _pieces(response: Any) -> list[Any]:
    """Return the words and tool calls of a response. Calls of an interrupted response are left out: they never ran."""
    from pydantic_ai.models.function import DeltaToolCall

    pieces: list[Any] = []
    for index, part in enumerate(response.parts):
        if part.part_kind == "text":
            pieces += words(part.content)
        elif part.part_kind == "tool-call" and response.state != "interrupted":
            call = DeltaToolCall(part.tool_name, part.args_as_json_str(), tool_call_id=part.tool_call_id)
            pieces.append({index: call})
    return pieces or [""]

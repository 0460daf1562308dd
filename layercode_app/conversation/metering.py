"""The model of a helper agent, metered: what it answers is counted for the turn, and for the stage it is asked in."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from . import stages
from .live import LiveTurn


class Metered(WrapperModel):
    """A model that is some helper's, in one turn."""

    def __init__(self, wrapped: Model | str, live: LiveTurn) -> None:
        super().__init__(wrapped)
        self._live = live

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask the model, and count its answer."""
        response = await super().request(messages, model_settings, model_request_parameters)
        stages.count(self._live, response)
        return response

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: Any = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Ask the model, and count its answer when the stream has ended, however it did."""
        cut = True
        asked = super().request_stream(messages, model_settings, model_request_parameters, run_context)
        async with asked as stream:
            try:
                yield stream
                cut = False
            finally:
                stages.count(self._live, stream.get(), cut=cut)

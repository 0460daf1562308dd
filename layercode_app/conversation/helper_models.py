"""Wrap the model of a helper agent, so that its requests are counted.

Each request is added to the totals of the turn, and of each stage that is open when the request is made.
"""

from __future__ import annotations

import time
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
    """The model of a helper agent in one turn. It counts each request, and passes it to the wrapped model."""

    def __init__(self, wrapped: Model | str, live: LiveTurn) -> None:
        super().__init__(wrapped)
        self._live = live

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Call the model, and add the response's usage to the turn and its open stages."""
        with stages.requesting(self._live, self.model_name) as call:
            response = await super().request(messages, model_settings, model_request_parameters)
            stages.count(self._live, call, response)
        return response

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: Any = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Call the model. When the stream ends, even early, add its usage to the turn and to the turn's open stages."""
        cut, began = True, time.perf_counter()
        asked = super().request_stream(messages, model_settings, model_request_parameters, run_context)
        with stages.requesting(self._live, self.model_name) as call:
            async with asked as stream:
                try:
                    yield stream
                    cut = False
                finally:
                    if (first := stream.time_to_first_chunk(began)) is not None:
                        call.first_ms = call.started_ms + first * 1000
                    stages.count(self._live, call, stream.get(), cut=cut)

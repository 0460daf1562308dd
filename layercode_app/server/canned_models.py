"""Build stand-ins for the served models: the same classes with canned answers, so that a trial turn sends no request.

A trial turn imports, builds and validates everything that the first caller's turn would, but uses no network.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ..agent.models import single_models

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.models import Model

MODULE = "pydantic_ai.models.openai"
"""Only models of this module get stand-ins, because this package installs no other provider."""


def stand_ins(models: Iterable[Model]) -> list[Model]:
    """For each class of OpenAI models in `models`, return one model of that class which gives canned answers."""
    kinds = {type(model): model for model in single_models(models) if type(model).__module__.startswith(MODULE)}
    return [_stand_in(model) for model in kinds.values()]


def _stand_in(model: Model) -> Model:
    import httpx2
    from pydantic_ai.providers.openai import OpenAIProvider

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(_answer))
    provider = OpenAIProvider(base_url="http://warm-up.invalid", api_key="warm-up", http_client=client)
    kind: Any = type(model)
    stand_in: Model = kind(model.model_name, provider=provider)
    return stand_in


def _answer(request: httpx2.Request) -> httpx2.Response:
    import httpx2

    events = _responses() if request.url.path.endswith("/responses") else _chat()
    page = "".join(f"event: {event.get('type', 'message')}\ndata: {json.dumps(event)}\n\n" for event in events)
    headers = {"content-type": "text/event-stream"}
    return httpx2.Response(200, headers=headers, text=page + "data: [DONE]\n\n")


def _chat() -> Iterator[dict[str, Any]]:
    common = {"id": "warm-up", "object": "chat.completion.chunk", "created": 1, "model": "warm-up"}
    yield common | {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "warm"}, "finish_reason": None}]}
    yield common | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    yield common | {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}


def _responses() -> Iterator[dict[str, Any]]:
    part = {"type": "output_text", "text": "", "annotations": []}
    item = {"id": "warm-up", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    place = {"item_id": "warm-up", "output_index": 0, "content_index": 0}
    done = item | {"status": "completed", "content": [part | {"text": "warm"}]}
    events: list[tuple[str, dict[str, Any]]] = [
        ("response.created", {"response": _response("in_progress", [])}),
        ("response.output_item.added", {"output_index": 0, "item": item}),
        ("response.content_part.added", {**place, "part": part}),
        ("response.output_text.delta", {**place, "delta": "warm", "logprobs": []}),
        ("response.output_item.done", {"output_index": 0, "item": done}),
        ("response.completed", {"response": _response("completed", [done])}),
    ]
    yield from ({"type": name, "sequence_number": number, **more} for number, (name, more) in enumerate(events))


def _response(status: str, output: list[Any]) -> dict[str, Any]:
    usage = {
        "input_tokens": 1,
        "output_tokens": 1,
        "total_tokens": 2,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    common = {"id": "warm-up", "object": "response", "created_at": 1, "model": "warm-up", "tools": []}
    asked = {"parallel_tool_calls": True, "tool_choice": "auto"}
    return {**common, **asked, "status": status, "output": output, "usage": usage if output else None}

"""A provider's errors get a category, an impact and a line in `explain`. Their text stays hidden."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from loguru import logger
from pydantic_ai import Agent
from pydantic_ai.models import override_allow_model_requests
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from layercode_app import Turn, VoiceAgent
from layercode_app.journal.record import Status, TurnRecord
from layercode_app.observability.errors import CATEGORIES, detail_of
from layercode_app.reports.explain import explain
from layercode_app.testing.call import open_call

from ..serving import serve

pytestmark = pytest.mark.anyio

WORDS = "my number is 415"
CUT = "I'm sorry, I have to stop there. What else can I do for you?"
SORRY = "Sorry, something went wrong on my side. Could you say that again?"


def chunk(delta: dict[str, Any], reason: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    common = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-test"}
    return f"data: {json.dumps(common | {'choices': [choice]})}\n\n"


def streamed(*lines: str) -> Callable[[], Response]:
    async def lines_of() -> AsyncIterator[str]:
        for line in lines:
            yield line

    return lambda: StreamingResponse(lines_of(), media_type="text/event-stream")


def refused(status: int, **error: str) -> Callable[[], Response]:
    return lambda: JSONResponse({"error": {"message": f"Invalid: {WORDS}", **error}}, status)


@dataclass
class Provider:
    """A server that imitates OpenAI's API. `answer` makes its next answers, and `model` is a model that calls it."""

    model: OpenAIChatModel
    answer: Callable[[], Response] = Response

    async def turn(self) -> TurnRecord:
        """Let an agent with this model answer a message, and return the record of the turn."""
        with override_allow_model_requests(True):
            async with open_call(VoiceAgent("a", Agent(self.model, deps_type=Turn))) as call:
                record = (await call.say("hello")).record
        assert record is not None
        return record


@asynccontextmanager
async def serving() -> AsyncIterator[Provider]:
    async def answer(request: Request) -> Response:
        return own.answer()

    async with serve(
        Starlette(routes=[Route("/v1/chat/completions", answer, methods=["POST"])]), lifespan="off"
    ) as url:
        model = OpenAIChatModel("gpt-5-mini", provider=OpenAIProvider(base_url=f"{url}/v1", api_key="k"))
        own = Provider(model)
        yield own


@pytest.fixture
async def provider(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Provider]:
    monkeypatch.setattr("layercode_app.agent.retry.RETRY_SECONDS", (0.0,))
    async with serving() as made:
        yield made


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """The messages of the errors in the log. The texts of exceptions are not part of them."""
    from layercode_app.observability import logs

    lines: list[str] = []
    logs.configure(log_format="json", log_dir="")
    number = logger.add(lambda message: lines.append(message.record["message"]), level="ERROR")
    yield lines
    logger.remove(number)
    logger.remove()


TYPE = {"type": "invalid_request_error"}
FAILED = {
    "400": (refused(400, **TYPE, code="invalid_value", param="input[2].id"), "bad_request",
            "HTTP 400, invalid_request_error, invalid_value, parameter input[2].id"),
    "400 whose code is a sentence": (refused(400, code=WORDS, param=WORDS), "bad_request", "HTTP 400"),
    "422": (refused(422, **TYPE), "bad_request", "HTTP 422, invalid_request_error"),
    "404": (refused(404, **TYPE, code="model_not_found"), "bad_request",
            "HTTP 404, invalid_request_error, model_not_found"),
    "401": (refused(401, **TYPE), "authentication", "HTTP 401, invalid_request_error"),
    "429": (refused(429, type="requests"), "rate_limit", "HTTP 429, requests"),
    "policy": (refused(400, **TYPE, code="content_policy_violation"), "content_filter",
               "HTTP 400, invalid_request_error, content_policy_violation"),
    "no JSON": (streamed("data: {not json\n\n"), "bad_response", ""),
    "no JSON after words": (streamed(chunk({"content": "Hello "}), "data: {not json\n\n"), "bad_response", ""),
    "a list": (streamed("data: [1, 2]\n\n"), "bad_response", ""),
    "a number for the choices": (streamed('data: {"choices": 5}\n\n'), "bad_response", ""),
    "a page": (lambda: HTMLResponse("<html>"), "parsing", ""),
    "filtered before a word": (streamed(chunk({}, "content_filter")), "content_filter", ""),
    "a refusal": (streamed(chunk({"refusal": WORDS}), chunk({}, "stop")), "content_filter", ""),
    "no token left for a word": (streamed(chunk({}, "length")), "length", ""),
    "an error event": (streamed('data: {"error": {"message": "x", "type": "server_error"}}\n\n'), "network",
                       "HTTP 500, server_error"),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "category", "detail"), FAILED.values(), ids=FAILED.keys())
async def test_each_failure_has_its_category_and_the_providers_code(
    answer: Callable[[], Response], category: str, detail: str, provider: Provider, logged: list[str]
) -> None:
    provider.answer = answer
    record = await provider.turn()
    assert category in CATEGORIES
    assert (record.error_category, record.error_detail) == (category, detail)
    assert (record.status, record.impact) == (Status.FAILED, "apology")
    assert record.spoken_text.endswith(SORRY)
    assert f"{category.replace('_', ' ')} error{f' ({detail})' if detail else ''}" in explain(record)
    assert f"The turn failed: {category}{f' ({detail})' if detail else ''}" in logged
    assert WORDS not in "".join(logged)


@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_an_answer_that_is_cut_in_mid_sentence_is_ended_in_words(reason: str, provider: Provider) -> None:
    provider.answer = streamed(chunk({"content": "Hello to "}), chunk({}, reason))
    record = await provider.turn()
    assert record.spoken_text == f"Hello to {CUT}"
    assert (record.status, record.error_category, record.impact) == (Status.COMPLETE, reason, "cut")
    assert "The answer was cut." in explain(record)
    assert record.requests[0].finish == reason


async def test_an_answer_that_is_cut_after_a_sentence_gets_no_more_words(provider: Provider) -> None:
    provider.answer = streamed(chunk({"content": "Hello. "}), chunk({}, "length"))
    record = await provider.turn()
    assert record.spoken_text == "Hello. "
    assert (record.error_category, record.impact) == ("length", "cut")


@pytest.mark.parametrize(("first", "tries"), [("data: {no\n\n", 1), ("data: [1]\n\n", 1)])
async def test_an_answer_that_cannot_be_read_is_asked_for_again(first: str, tries: int, provider: Provider) -> None:
    answers = [streamed(first), streamed(chunk({"content": "Hello."}), chunk({}, "stop"))]
    provider.answer = lambda: answers.pop(0)()
    record = await provider.turn()
    assert (record.spoken_text, record.retries, record.error_category) == ("Hello.", tries, None)


async def test_a_request_that_is_refused_is_not_sent_again(provider: Provider) -> None:
    answers = [refused(400, **TYPE)]
    provider.answer = lambda: answers.pop(0)()
    record = await provider.turn()
    assert (record.error_category, record.retries, answers) == ("bad_request", 0, [])


def test_a_detail_is_of_codes_alone() -> None:
    error = ValueError(WORDS)
    assert detail_of(error) == ""
    error.body = {"param": WORDS}  # type: ignore[attr-defined]
    assert detail_of(error) == ""

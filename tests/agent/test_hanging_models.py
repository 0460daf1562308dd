"""A model that hangs during an answer is covered by fillers, then by a retry, a fallback or an apology."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from layercode_app import LayerCode, VoiceAgent
from layercode_app.agent.speech_writer import SpeechWriter
from layercode_app.journal.record import TurnRecord
from layercode_app.settings import Settings
from layercode_app.settings.table import FILLERS

from ..calling import Reply, calling, settings
from ..model_server import ModelServer, Point
from ..priced import records
from ..serving import serve

pytestmark = pytest.mark.anyio

LIMIT = 1.0
"""Seconds that are enough for a request and its answer, even on a busy machine."""
LIMITS = {
    "first_token_timeout": LIMIT,
    "piece_timeout": LIMIT,
    "timeout_apology": "Sorry, too slow.",
    "tool_apology": "Sorry, too slow.",
}
POINTS: list[Point] = ["headers", "body", "sentence", "call", "tool"]


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layercode_app.agent.retry.RETRY_SECONDS", (0.01, 0.01))


@pytest.fixture(scope="module", autouse=True)
async def _warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Send one request before the tests.

    The first request of a process imports the model's client library. This takes longer than the time limits here.
    """
    await asked(ModelServer(), tmp_path_factory.mktemp("warm"), first_token_timeout=60)


def hanging(point: Point, **options: Any) -> ModelServer:
    """Return a server whose model says "Good day." and hangs at this point. For `call` and `tool`, it calls a tool."""
    call = "look" if point in ("call", "tool") else ""
    return ModelServer(reply=lambda messages: "Good day.", hang=point, call=call, **options)


async def asked(
    server: ModelServer, folder: Path, *, voice: dict[str, Any] | None = None, fallback: bool = False, **given: Any
) -> tuple[Reply, TurnRecord]:
    """Send one message to an agent whose model is `server`.

    Return the reply that the caller heard, and the turn's record.
    """
    async with serve(server.app) as url:
        provider = OpenAIProvider(base_url=f"{url}/v1", api_key="test-key")
        models = [OpenAIChatModel(name, provider=provider) for name in ("gpt-test", "other")]
        agent = Agent(FallbackModel(*models) if fallback else models[0])

        @agent.tool_plain
        async def look() -> str:
            return "found"

        app = LayerCode(VoiceAgent("clerk", agent, **(voice or {})), settings=settings(folder, **(LIMITS | given)))
        async with calling(app) as caller:
            reply = await caller.say("hello")
            (record,) = await records(app)
    return reply, record


async def asked_each(points: list[Point], folder: Path, **options: Any) -> dict[Point, Any]:
    """Send one message for each point to an agent whose model hangs at this point, all at the same time.

    Return the server, the words that were heard and the record, by point.
    """

    async def one(point: Point) -> Any:
        server = hanging(point, **options)
        reply, record = await asked(server, folder / point)
        return server, reply.spoken, record

    return dict(zip(points, await asyncio.gather(*[one(point) for point in points]), strict=True))


# --- another try


async def test_a_model_that_hangs_before_it_spoke_is_asked_again_also_after_a_tool(tmp_path: Path) -> None:
    each = await asked_each(["headers", "body", "call", "tool"], tmp_path, hangs=1)
    for point, (server, heard, record) in each.items():
        tools = 1 if point in ("call", "tool") else 0
        assert heard == ("Good day. Good day." if point == "tool" else "Good day."), point
        assert (record.status, record.retries, record.impact) == ("complete", 1, "nothing"), point
        assert (len(record.tools), len(server.requests)) == (tools, 2 + tools), point


@pytest.mark.parametrize("point", ["headers", "body"])
async def test_a_fallback_takes_over_from_a_model_that_hangs(point: Point, tmp_path: Path) -> None:
    server = hanging(point, hanging_models=("gpt-test",))
    reply, record = await asked(server, tmp_path, fallback=True)
    assert reply.spoken == "Good day."
    assert [request["model"] for request in server.requests] == ["gpt-test", "other"]
    assert (record.status, record.retries) == ("complete", 1)


async def test_a_filler_does_not_keep_a_model_that_hangs_from_being_asked_again(tmp_path: Path) -> None:
    filler = {"filler": "One moment.", "filler_after": 0.03}
    reply, record = await asked(hanging("call", hangs=1), tmp_path, voice=filler)
    assert reply.spoken == "One moment. Good day."
    assert (record.status, record.impact) == ("complete", "filler")


# --- no more tries


async def test_a_model_that_always_hangs_ends_in_words_and_the_record_says_so(tmp_path: Path) -> None:
    spoken = {"sentence": "Good ", "tool": "Good day. "}
    for point, (server, heard, record) in (await asked_each(POINTS, tmp_path)).items():
        assert heard == record.spoken_text == f"{spoken.get(point, '')}Sorry, too slow.", point
        assert (record.status, record.error_category, record.impact) == ("failed", "timeout", "apology"), point
        assert len(server.requests) == {"sentence": 1, "tool": 3}.get(point, 2), point
        assert server.open_streams == 0, point


async def test_all_fallbacks_that_hang_are_asked_once_each(tmp_path: Path) -> None:
    server = hanging("headers")
    reply, record = await asked(server, tmp_path, fallback=True)
    assert [request["model"] for request in server.requests] == ["gpt-test", "other"]
    assert (reply.spoken, record.error_category) == ("Sorry, too slow.", "timeout")


# --- limits


async def test_an_agents_own_limits_take_the_place_of_the_settings(tmp_path: Path) -> None:
    own = {"first_token_timeout": LIMIT, "piece_timeout": LIMIT}
    reply, _ = await asked(hanging("headers", hangs=1), tmp_path, voice=own, first_token_timeout=60, piece_timeout=60)
    assert reply.spoken == "Good day."


async def test_a_pause_is_not_the_models_while_the_caller_takes_the_words_slowly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = SpeechWriter.say

    async def slowly(self: SpeechWriter, text: str) -> None:
        await asyncio.sleep(0.4)
        await said(self, text)

    monkeypatch.setattr(SpeechWriter, "say", slowly)
    server = ModelServer(reply=lambda messages: "Good day.")
    reply, record = await asked(server, tmp_path, piece_timeout=0.3)
    assert (reply.spoken, record.status) == ("Good day.", "complete")


async def test_limits_of_0_let_a_model_take_its_time(tmp_path: Path) -> None:
    server = ModelServer(reply=lambda messages: "Good day.", delay=0.05)
    reply, _ = await asked(server, tmp_path, first_token_timeout=0, piece_timeout=0)
    assert reply.spoken == "Good day."


# --- fillers


async def test_fillers_cover_a_model_that_hangs_and_stop_at_its_first_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layercode_app.conversation.playback.CHARACTERS_PER_SECOND", 10_000)
    filler = {"filler": ["One.", "Two.", "Three."], "filler_after": 0.01, "filler_every": 0.02}
    reply, record = await asked(hanging("headers", hangs=1), tmp_path, voice=filler)
    assert reply.spoken == "One. Two. Three. Good day."
    assert [(part.source, part.text) for part in record.speech] == [
        ("filler", "One. Two. Three. "),
        ("model", "Good day."),
    ]


@pytest.mark.slow
async def test_no_gap_is_longer_than_4_seconds_with_default_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    default = {name: Settings.model_fields[name].default for name in LIMITS}

    async def one(point: Point) -> None:
        reply, _ = await asked(hanging(point), tmp_path / point, filler=FILLERS, **default)
        heard_at = [0.0, *(frame.at_ms for frame in reply.frames if frame.type == "response.tts")]
        gap = max(later - earlier for earlier, later in pairwise(heard_at))
        assert gap <= 4_000, f"{point}: {gap:.0f} ms of silence in {reply.spoken!r}"
        # If a tool was called, the apology must not ask the caller to repeat the request: the tool could run twice.
        assert reply.spoken.endswith(default["tool_apology" if point == "tool" else "timeout_apology"])

    await asyncio.gather(*[one(point) for point in POINTS])

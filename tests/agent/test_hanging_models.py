"""A model that hangs at any point of its answer: the caller hears fillers, then another try, a fallback or an apology."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from layercode_app import LayerCode, VoiceAgent
from layercode_app.agent.mouth import Mouth
from layercode_app.conversation.record import TurnRecord
from layercode_app.settings.table import FILLERS

from ..calling import calling, settings
from ..model_server import ModelServer, Point
from ..priced import records
from ..serving import serve

pytestmark = pytest.mark.anyio

MODEL = "openai-chat:gpt-test"
LIMITS = {"first_token_timeout": 0.15, "piece_timeout": 0.15, "timeout_apology": "Sorry, too slow."}
POINTS: list[Point] = ["headers", "body", "sentence", "call", "tool"]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    monkeypatch.setattr("layercode_app.agent.retry.RETRY_SECONDS", (0.01, 0.01))


def clerk(**options: Any) -> VoiceAgent[Any, Any]:
    agent = Agent(MODEL, defer_model_check=True)

    @agent.tool_plain
    async def look() -> str:
        return "found"

    return VoiceAgent("clerk", agent, **options)


@asynccontextmanager
async def talking(
    server: ModelServer, voice: VoiceAgent[Any, Any], folder: Path, monkeypatch: pytest.MonkeyPatch, **given: Any
) -> AsyncIterator[Any]:
    """A caller of an agent whose model is this server, and the app."""
    async with serve(server.app) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
        app = LayerCode(voice, settings=settings(folder, **given))
        async with calling(app) as caller:
            yield app, caller


async def asked(
    server: ModelServer, voice: VoiceAgent[Any, Any], folder: Path, monkeypatch: pytest.MonkeyPatch, **given: Any
) -> tuple[str, TurnRecord]:
    """What the caller heard of one turn, and its record."""
    async with talking(server, voice, folder, monkeypatch, **(LIMITS | given)) as (app, caller):
        heard = (await caller.say("hello")).spoken
        (record,) = await records(app)
    return heard, record


def hanging(point: Point, **options: Any) -> ModelServer:
    """A model that says "Good day." and then, at some points, calls a tool."""
    return ModelServer(
        reply=lambda messages: "Good day.", hang=point, call="look" if point in ("call", "tool") else "", **options
    )


# --- another try


@pytest.mark.parametrize("point", ["headers", "body", "call", "tool"])
async def test_a_model_that_hangs_before_it_spoke_is_asked_again(
    point: Point, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = hanging(point, hangs=1)
    heard, record = await asked(server, clerk(filler=False), tmp_path, monkeypatch)
    assert heard == ("Good day. Good day." if point == "tool" else "Good day.")
    assert (record.status, record.retries, record.impact) == ("complete", 1, "nothing")
    assert len(record.tools) == (1 if point in ("call", "tool") else 0)
    assert len(server.requests) == (3 if record.tools else 2)


@pytest.mark.parametrize("point", ["headers", "body"])
async def test_a_fallback_takes_over_from_a_model_that_hangs(
    point: Point, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = hanging(point, hanging_models=("gpt-test",))
    heard, record = await asked(
        server, clerk(filler=False), tmp_path, monkeypatch, fallback_models=("openai-chat:other",)
    )
    assert heard == "Good day."
    assert [request["model"] for request in server.requests] == ["gpt-test", "other"]
    assert (record.status, record.retries) == ("complete", 1)


async def test_a_filler_does_not_keep_a_model_that_hangs_from_being_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = hanging("call", hangs=1)
    voice = clerk(filler="One moment.", filler_after=0.03)
    heard, record = await asked(server, voice, tmp_path, monkeypatch)
    assert heard == "One moment. Good day."
    assert (record.status, record.impact) == ("complete", "filler")


# --- no more tries


@pytest.mark.parametrize("point", POINTS)
async def test_a_model_that_always_hangs_ends_in_words_and_the_record_says_so(
    point: Point, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = hanging(point)
    heard, record = await asked(server, clerk(filler=False), tmp_path, monkeypatch)
    spoken = {"sentence": "Good ", "tool": "Good day. "}.get(point, "")
    assert heard == record.spoken_text == f"{spoken}Sorry, too slow."
    assert (record.status, record.error_category, record.impact) == ("failed", "timeout", "apology")
    assert len(server.requests) == {"sentence": 1, "tool": 3}.get(point, 2)
    assert server.open_streams == 0


async def test_all_fallbacks_that_hang_are_asked_once_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = hanging("headers")
    heard, record = await asked(
        server, clerk(filler=False), tmp_path, monkeypatch, fallback_models=("openai-chat:other",)
    )
    assert [request["model"] for request in server.requests] == ["gpt-test", "other"]
    assert (heard, record.error_category) == ("Sorry, too slow.", "timeout")


# --- limits


async def test_an_agents_own_limits_take_the_place_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = hanging("headers", hangs=1)
    voice = clerk(filler=False, first_token_timeout=0.05, piece_timeout=0.05)
    heard, _ = await asked(server, voice, tmp_path, monkeypatch, first_token_timeout=60, piece_timeout=60)
    assert heard == "Good day."


async def test_a_pause_is_not_the_models_while_the_caller_takes_the_words_slowly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = Mouth.say

    async def slowly(self: Mouth, text: str) -> None:
        await asyncio.sleep(0.2)
        await said(self, text)

    monkeypatch.setattr(Mouth, "say", slowly)
    heard, record = await asked(ModelServer(reply=lambda messages: "Good day."), clerk(), tmp_path, monkeypatch)
    assert (heard, record.status) == ("Good day.", "complete")


async def test_limits_of_0_let_a_model_take_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = ModelServer(reply=lambda messages: "Good day.", delay=0.1)
    heard, _ = await asked(server, clerk(), tmp_path, monkeypatch, first_token_timeout=0, piece_timeout=0)
    assert heard == "Good day."


# --- fillers


async def test_fillers_cover_a_model_that_hangs_and_stop_at_its_first_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layercode_app.conversation.fillers.CHARACTERS_PER_SECOND", 10_000)
    server = hanging("headers", hangs=1)
    voice = clerk(filler=["One.", "Two.", "Three."], filler_after=0.01, filler_every=0.02)
    heard, record = await asked(server, voice, tmp_path, monkeypatch, first_token_timeout=0.5)
    assert heard == "One. Two. Three. Good day."
    assert [(part.source, part.text) for part in record.speech] == [
        ("filler", "One. Two. Three. "),
        ("model", "Good day."),
    ]


@pytest.mark.slow
async def test_no_gap_is_longer_than_4_seconds_with_default_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    await asyncio.gather(*[_hear_the_default(point, tmp_path / point) for point in POINTS])


async def _hear_the_default(point: Point, folder: Path) -> None:
    async with serve(hanging(point).app) as url:
        voice = clerk()
        provider = OpenAIProvider(base_url=f"{url}/v1", api_key="test-key")
        voice.agent.model = OpenAIChatModel("gpt-test", provider=provider)  # type: ignore[union-attr]
        async with calling(LayerCode(voice, settings=settings(folder, filler=FILLERS))) as caller:
            reply = await caller.say("hello")
    heard_at = [0.0, *(frame.at_ms for frame in reply.frames if frame.type == "response.tts")]
    gap = max(later - earlier for earlier, later in pairwise(heard_at))
    assert gap <= 4_000, f"{point}: {gap:.0f} ms of silence in {reply.spoken!r}"
    assert reply.spoken.endswith("Sorry, that is taking too long. Could you ask me again?")

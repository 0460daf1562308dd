"""If a model fails, the next model of FALLBACK_MODELS answers, and the turn's record counts a retry.

The models are served over HTTP.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.wrapper import WrapperModel

from layercode_app import ConfigurationError, LayerCode, VoiceAgent
from layercode_app.journal.record import Status, TurnRecord
from layercode_app.reports.report import make_report

from ..calling import calling, settings
from ..model_server import ModelServer
from ..priced import records
from ..processes import run
from ..serving import serve

pytestmark = pytest.mark.anyio

BAD, GOOD = "openai-chat:bad", "openai-chat:good"


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")


async def asked(
    voice: VoiceAgent[Any, Any], folder: Path, url: str, monkeypatch: pytest.MonkeyPatch, *, model: str | None = None,
    **given: Any,
) -> tuple[str, TurnRecord, Any]:  # fmt: skip
    """Return what the caller heard of one turn, the record of the turn, and the report's figures."""
    monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
    app = LayerCode(voice, settings=settings(folder, **given), model=model)
    async with calling(app) as caller:
        heard = (await caller.say("hello")).spoken
        (record,) = await records(app)
        report = await make_report(app.store)
    return heard, record, report.total


@pytest.mark.parametrize("whose", ["DEFAULT_MODEL", "--model", "its own", "its own, named late"])
async def test_the_next_model_answers_for_one_that_fails(
    whose: str, key: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ModelServer(reply=lambda messages: "Good day.", refused_models=("bad",))
    async with serve(server.app) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
        own = {"its own": Agent(BAD), "its own, named late": Agent(BAD, defer_model_check=True)}
        options: dict[str, Any] = {"DEFAULT_MODEL": {"default_model": BAD}, "--model": {"model": BAD}}.get(whose, {})
        heard, record, total = await asked(
            VoiceAgent("shop", own.get(whose) or Agent()), tmp_path, url, monkeypatch,
            fallback_models=(GOOD,), **options,
        )  # fmt: skip

    assert [request["model"] for request in server.requests] == ["bad", "good"]
    assert heard == "Good day."
    assert (record.status, record.retries) == (Status.COMPLETE, 1)
    assert (total.retried, total.recovered, total.recovery_rate) == (1, 1, 1.0)


async def test_the_model_asked_for_beats_the_agents_own(
    key: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ModelServer(refused_models=("bad", "own"))
    async with serve(server.app) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
        voice = VoiceAgent("shop", Agent("openai-chat:own"))
        await asked(voice, tmp_path, url, monkeypatch, model=BAD, default_model="openai-chat:default",
                    fallback_models=(GOOD,))  # fmt: skip
    assert [request["model"] for request in server.requests] == ["bad", "good"]


async def test_an_agent_that_brings_fallbacks_keeps_those(
    key: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ModelServer(refused_models=("bad",))
    async with serve(server.app) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
        voice = VoiceAgent("shop", Agent(WrapperModel(FallbackModel(BAD, "openai-chat:own-fallback"))))
        _, record, total = await asked(voice, tmp_path, url, monkeypatch, fallback_models=(GOOD,))
    assert [request["model"] for request in server.requests] == ["bad", "own-fallback"]
    assert (record.retries, total.recovered) == (1, 1)


async def test_all_models_that_fail_are_no_recovery(key: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layercode_app.agent.retry.RETRY_SECONDS", ())
    server = ModelServer(refused_models=("bad", "good"))
    async with serve(server.app) as url:
        heard, record, total = await asked(
            VoiceAgent("shop", Agent()), tmp_path, url, monkeypatch, default_model=BAD, fallback_models=(GOOD,),
            apology="Sorry!",
        )  # fmt: skip
    assert heard == "Sorry!"
    assert (record.status, total.recovered) == (Status.FAILED, 0)


# --- names that are wrong


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"default_model": "banana"}, "DEFAULT_MODEL banana: Unknown model: banana; expected PROVIDER:MODEL"),
        ({"default_model": "bananas:ripe"}, "DEFAULT_MODEL bananas:ripe: Unknown model"),
        ({"default_model": BAD, "fallback_models": ("banana",)}, "FALLBACK_MODELS banana: Unknown model"),
        ({"default_model": BAD, "fallback_models": ("groq:x",)}, "FALLBACK_MODELS groq:x: .*(install|GROQ_API_KEY)"),
        ({"default_model": BAD, "fallback_models": (GOOD, "deepseek:x")}, "FALLBACK_MODELS deepseek:x: .*DEEPSEEK"),
    ],
)  # fmt: skip
def test_a_model_that_there_is_not_stops_the_start(
    given: dict[str, Any], told: str, key: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GROQ_API_KEY", "DEEPSEEK_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError, match=told):
        LayerCode(VoiceAgent("shop", Agent()), settings=settings(tmp_path, **given))


def test_an_agents_own_model_without_a_key_is_refused_or_offline_and_an_unknown_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DEEPSEEK_API_KEY", raising=False)
    voice = VoiceAgent("shop", Agent("deepseek:x", defer_model_check=True))
    own = settings(tmp_path, fallback_models=("banana",))
    with pytest.raises(ConfigurationError, match="The model of agent 'shop', deepseek:x: DEEPSEEK_API_KEY is not set"):
        LayerCode(voice, settings=own)
    LayerCode(voice, settings=own, offline_without_key=True)
    assert voice.model is not None
    assert voice.model.model_name == "offline"
    with pytest.raises(ConfigurationError, match="The model of agent 'late', banana: Unknown model"):
        LayerCode(VoiceAgent("late", Agent("banana", defer_model_check=True)), settings=settings(tmp_path))


def test_run_names_the_setting_and_ends_with_2(tmp_path: Path) -> None:
    keys = {"LAYERCODE_WEBHOOK_SECRET": "test-secret", "OPENAI_API_KEY": "test-key", "DEFAULT_MODEL": BAD}
    code, printed = run("run", "--port", "0", cwd=tmp_path, env=keys, FALLBACK_MODELS="banana")
    assert code == 2, printed
    assert "Error: FALLBACK_MODELS banana: Unknown model" in printed
    assert "Traceback" not in printed

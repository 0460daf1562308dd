"""If the default model cannot be used, agents answer with their offline script, and one log line says why."""

from __future__ import annotations

from pathlib import Path

import pytest
from loguru import logger
from pydantic_ai import Agent

from layercode_app import ConfigurationError, LayerCode, VoiceAgent

from ..calling import settings


def test_a_missing_key_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    told: list[str] = []
    sink = logger.add(told.append, level="WARNING")
    agents = [VoiceAgent(f"agent-{number}", Agent()) for number in range(3)]
    # Use a model name that no other test uses, because the warning appears only once per model and process.
    LayerCode(*agents, settings=settings(tmp_path, default_model="openai:told-once"), offline_without_key=True)
    logger.remove(sink)
    assert [str(voice.model.model_name) for voice in agents if voice.model] == ["offline"] * 3
    assert len([line for line in told if "openai:told-once" in line]) == 1


@pytest.mark.parametrize(
    ("options", "asked", "refused"),
    [
        ({"app_env": "production"}, None, True),
        ({"app_env": "production"}, "offline", False),
        ({"app_env": "production", "default_model": "offline"}, None, False),
        ({"app_env": "production", "default_model": "test"}, None, False),
        ({"app_env": "development"}, None, False),
    ],
)
def test_in_production_a_script_is_served_only_when_asked_for(
    tmp_path: Path, options: dict[str, str], asked: str | None, refused: bool
) -> None:
    given = settings(tmp_path, **{"default_model": None, **options})
    if not refused:
        LayerCode(VoiceAgent("shop", Agent()), settings=given, model=asked)
        return
    with pytest.raises(
        ConfigurationError, match=r"Agent 'shop' has no model: .* or serve the scripts with --model offline"
    ):
        LayerCode(VoiceAgent("shop", Agent()), settings=given, model=asked)

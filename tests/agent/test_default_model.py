"""If the default model cannot be used, agents answer with their offline script, and one log line says why."""

from __future__ import annotations

from pathlib import Path

import pytest
from loguru import logger
from pydantic_ai import Agent

from layercode_app import LayerCode, VoiceAgent

from ..calling import settings


def test_a_missing_key_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    told: list[str] = []
    sink = logger.add(told.append, level="WARNING")
    agents = [VoiceAgent(f"agent-{number}", Agent()) for number in range(3)]
    # A name of its own: the warning was said before, if another test asked for the same model.
    LayerCode(*agents, settings=settings(tmp_path, default_model="openai:told-once"), offline_without_key=True)
    logger.remove(sink)
    assert [str(voice.model.model_name) for voice in agents if voice.model] == ["offline"] * 3
    assert len([line for line in told if "openai:told-once" in line]) == 1

"""The agents of a recorded call are loaded by address or by name. The user is told which ones cannot be loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from layercode_app.exceptions import AgentNotFoundError
from layercode_app.replay.call_agents import load_agents

ADDRESS = "layercode_app.agent.shipped:nothing"


def test_an_address_is_imported_before_the_agent_files(tmp_path: Path) -> None:
    told = tmp_path / "imported"
    (tmp_path / "till.py").write_text(f"open({str(told)!r}, 'w').close()")
    with pytest.raises(AgentNotFoundError, match="nothing"):
        load_agents(ADDRESS, ["till"], tmp_path)
    assert not told.exists()


def test_the_other_agents_are_loaded_or_told(tmp_path: Path) -> None:
    for name in ("desk", "till"):
        (tmp_path / f"{name}.py").write_text(
            f"from layercode_app import VoiceAgent\nagent = VoiceAgent({name!r}, greeting='Hi.')"
        )
    loaded = load_agents("desk", ["till", "", "desk", "bank", "till"], tmp_path)
    assert (loaded.voice.name, [one.name for one in loaded.others]) == ("desk", ["till", "desk"])
    assert list(loaded.missing) == ["bank"]
    assert "Agents there: " in loaded.missing["bank"]

"""Log a server's routes, models and problems before it listens."""

from __future__ import annotations

from typing import Any

from loguru import logger

from .._version import UNSHADOW, older_distribution, shadow_of
from ..agent.discovery import Found
from ..agent.offline import MODEL_NAME
from ..agent.voice_agent import VoiceAgent
from ..settings import ENV_FILE, Settings, ignored_settings
from .app import LayerCode


def tell_of(found: Found) -> None:
    """Log which agent files failed to import, and the warnings and notes of the discovery."""
    for path, error in found.failed.items():
        logger.error("{} failed to import; the other agents are served:\n{}", path, error.traceback)
    for warning in found.warnings:
        logger.warning("{}", warning)
    for note in found.notes:
        logger.info("{}", note)


def tell_of_settings(env_file: str = ENV_FILE) -> None:
    """Log the names and lines of the settings that are ignored."""
    for message in ignored_settings(env_file):
        logger.warning("{}", message)


def announce(app: LayerCode, settings: Settings) -> None:
    """Log each agent with its routes and model; warn if the older distribution is installed too."""
    if older := older_distribution():
        logger.warning("Warning: {}. {}", shadow_of(older), UNSHADOW)
    first = next(iter(app.agents.values()))
    for voice in app.agents.values():
        routes = [f"/api/agents/{voice.name}"] + ([settings.agent_route] if voice is first else [])
        logger.info("{} ({}) answers POST {}", voice.name, _model_of(voice), " and ".join(reversed(routes)))


def _model_of(voice: VoiceAgent[Any, Any]) -> str:
    if voice.agent is None:
        return "no model needed"
    model = voice.model or voice.agent.model
    name = str(getattr(model, "model_name", model))
    if name != MODEL_NAME:
        return name
    script = "from its script" if voice.script else "with no script of its own, so it only repeats"
    return f"offline, {script}; set DEFAULT_MODEL and its key for a model"

"""Log how a server starts: its problems, its agents with their models, what is switched off, and the address."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from loguru import logger

from .._version import UNSHADOW, older_distribution, shadow_of
from ..agent.discovery import Found
from ..agent.filler_options import is_offline
from ..agent.models import given_model
from ..agent.voice_agent import VoiceAgent
from ..observability.console import HIGHLIGHT
from ..observability.setup import wants_tracing
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
    """Log a warning for each setting that is ignored, with its name and line."""
    for message in ignored_settings(env_file):
        logger.warning("{}", message)


def announce(app: LayerCode, settings: Settings, *, off: Iterable[str] = ()) -> None:
    """Log the agents with their models, and the features that are off. `off` lists further features that are off.

    Log a warning first if the older distribution of this package is installed too. `announce_address` logs the address
    once the server listens.
    """
    if older := older_distribution():
        logger.warning("Warning: {}. {}", shadow_of(older), UNSHADOW)
    agents = list(app.agents.values())
    logger.info("Agents: {}", _by_model(agents))
    logger.info("Off: {}", ", ".join([*_off(agents, settings), *off]) or "nothing")


def announce_address(message: str, *values: object) -> None:
    """Log the address at which the server listens. This is the last line at startup; it is highlighted on a terminal."""
    logger.bind(**{HIGHLIGHT: True}).info(message, *values)


def _by_model(agents: Iterable[VoiceAgent[Any, Any]]) -> str:
    """Return the names of the agents, grouped by model."""
    names: dict[str, list[str]] = {}
    for voice in agents:
        names.setdefault(_model_of(voice), []).append(voice.name)
    return "; ".join(f"{', '.join(group)} ({model})" for model, group in names.items())


def _model_of(voice: VoiceAgent[Any, Any]) -> str:
    if voice.agent is None:
        return "no model"
    if voice.selects_model:
        return "selected by the agent"
    if not is_offline(voice.agent, voice.model):
        model = voice.model or given_model(voice.agent)
        return str(getattr(model, "model_id", model))
    return "offline script" if voice.script else "offline, repeats the caller"


def _off(agents: Iterable[VoiceAgent[Any, Any]], settings: Settings) -> Iterator[str]:
    """Yield each feature that is off, with the setting that turns it on."""
    if any(voice.agent is not None and is_offline(voice.agent, voice.model) for voice in agents):
        yield "models (DEFAULT_MODEL and its key)"
    if not settings.telemetry_enabled:
        yield "traces, errors and metrics (TELEMETRY_ENABLED)"
    else:
        if not wants_tracing(settings):
            yield "Logfire (LOGFIRE_TOKEN)"
        if settings.sentry_dsn is None:
            yield "Sentry (SENTRY_DSN)"
    if not settings.log_dir:
        yield "log files (LOG_DIR)"
    if settings.store == "memory":
        yield "a persistent journal (LAYERCODE_STORE)"

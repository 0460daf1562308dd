"""What the `platform` commands share: one call with a client, and how its answer is printed. Imported when they run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from ...exceptions import ConfigurationError
from ...output.tables import column, table
from ...output.terminal import print_block, print_json, print_line, print_table
from ...output.visible import shortened
from ...platform.client import PlatformClient
from ...platform.models import AgentInfo, SessionInfo
from ...platform.tolerant import Timestamp
from ...settings import Settings, load_settings

T = TypeVar("T")


def run(call: Callable[[PlatformClient, Settings], Awaitable[T]]) -> T:
    """Make one call with the client of the settings."""

    async def within() -> T:
        settings = load_settings()
        async with PlatformClient.from_settings(settings) as client:
            return await call(client, settings)

    return asyncio.run(within())


def agent_id_of(given: str | None, settings: Settings) -> str:
    """The agent that is meant. Raises ConfigurationError where none is."""
    if found := given or settings.agent_id:
        return found
    raise ConfigurationError("No agent is named. Set LAYERCODE_AGENT_ID, or name one; `platform agents list` has them.")


def show_agents(agents: Sequence[AgentInfo], *, as_json: bool) -> None:
    """Agents as a table; what does not fit its column goes on below."""
    shown = [_agent(agent) for agent in agents]
    if as_json:
        print_json(shown)
    elif shown:
        heads = [column(name, overflow="fold") for name in ("id", "name", "webhook")]
        print_table(table(heads, [[value or "-" for value in row.values()] for row in shown]))
    else:
        print_line("No agents yet; `platform agents create` makes one.")


def show_agent(agent: AgentInfo, *, as_json: bool, secret: bool = False) -> None:
    """One agent, a line for each value, never cut or wrapped: a new agent's secret is shown this once."""
    shown = _agent(agent) | ({"webhook_secret": agent.webhook_secret} if secret else {})
    if as_json:
        print_json([shown])
        return
    for name, value in shown.items():
        print_line(f"{name}: {value or '-'}")


def _agent(agent: AgentInfo) -> dict[str, str | None]:
    return {"id": agent.id, "name": agent.name, "webhook_url": agent.webhook_url}


def warn_of_contradictions(agent: AgentInfo) -> None:
    """Name on stderr the places of an agent that still name another webhook."""
    for place, url in agent.contradictions().items():
        print_line(f"Warning: {place} still names {url}. If calls go there, set it in the dashboard.", err=True)


def show_session(session: SessionInfo, *, as_json: bool) -> None:
    """A session's figures, then what was said."""
    if as_json:
        print_json(session.model_dump(mode="json"))
        return
    figures = {
        "conversation": session.conversation_id,
        "started": _time(session.started_at),
        "ended": _time(session.ended_at),
        "duration": None if session.duration_ms is None else f"{session.duration_ms / 1000:.1f} s",
        "latency": None if session.latency_ms is None else f"{session.latency_ms:.0f} ms",
        "recording": session.recording_status,
    }
    for name, value in figures.items():
        print_block(f"{name + ':':14}", value or "-", one_line=True)
    for line in session.transcript:
        print_block(f"{shortened(_time(line.timestamp) or '', 24):24} {line.role + ':':11} ", line.text)


def _time(value: Timestamp) -> str | None:
    if not isinstance(value, int | float):
        return value
    try:
        return datetime.fromtimestamp(value / 1000, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return f"{value:g}"

"""Shared parts of the `platform` commands: send an API request, and print the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from ...exceptions import ConfigurationError, StoreError
from ...journal import outbound
from ...journal.open import open_journal
from ...output.tables import column, table
from ...output.terminal import print_block, print_json, print_line, print_table
from ...output.visible import shortened
from ...platform.client import PlatformClient
from ...platform.models import AgentInfo, SessionInfo
from ...platform.tolerant import Timestamp
from ...settings import Settings, load_settings

T = TypeVar("T")


def run(call: Callable[[PlatformClient, Settings], Awaitable[T]]) -> T:
    """Send one API request, with a client that is configured by the settings."""

    async def within() -> T:
        settings = load_settings()
        async with PlatformClient.from_settings(settings) as client:
            return await call(client, settings)

    return asyncio.run(within())


def variables_of(given: Sequence[str]) -> dict[str, str]:
    """Parse the metadata of a call, given as NAME=VALUE texts. Raises ConfigurationError for any other text."""
    variables: dict[str, str] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ConfigurationError(f"--var {pair!r}: expected NAME=VALUE, such as --var name=Ann.")
        variables[name.strip()] = value
    return variables


def prepare_call(conversation: str, variables: dict[str, str], *, agent: str | None, store: str | None) -> None:
    """Record an outbound call, its metadata and its agent in the journal, where the server finds them.

    The call has already been placed, so an unavailable journal only causes a warning.
    """
    url = load_settings({"store": store}).store

    async def write() -> None:
        async with open_journal(url) as journal:
            await outbound.prepare_call(journal, conversation, variables, agent)

    try:
        asyncio.run(write())
    except (StoreError, ConfigurationError) as error:
        print_line(f"The server will not know --var and --agent, nor that this call is outbound: {error}", err=True)


def agent_id_of(given: str | None, settings: Settings) -> str:
    """Return the given agent id, else the one in the settings. Raises ConfigurationError if there is none."""
    if found := given or settings.agent_id:
        return found
    raise ConfigurationError(
        "No agent id. Set LAYERCODE_AGENT_ID, or pass an id; `platform agents list` shows the account's agents."
    )


def show_agents(agents: Sequence[AgentInfo], *, as_json: bool) -> None:
    """Print agents as a table. A value that does not fit its column is wrapped."""
    shown = [_agent(agent) for agent in agents]
    if as_json:
        print_json(shown)
    elif shown:
        heads = [column(name, overflow="fold") for name in ("id", "name", "webhook")]
        print_table(table(heads, [[value or "-" for value in row.values()] for row in shown]))
    else:
        print_line("No agents yet. `platform agents create` creates one.")


def show_agent(agent: AgentInfo, *, as_json: bool, secret: bool = False) -> None:
    """Print one agent, one line per value. No value is cut, because a new agent's secret is shown only once."""
    shown = _agent(agent) | ({"webhook_secret": agent.webhook_secret} if secret else {})
    if as_json:
        print_json([shown])
        return
    for name, value in shown.items():
        print_line(f"{name}: {value or '-'}")


def _agent(agent: AgentInfo) -> dict[str, str | None]:
    return {"id": agent.id, "name": agent.name, "webhook_url": agent.webhook_url}


def warn_of_contradictions(agent: AgentInfo) -> None:
    """Warn on stderr if other fields of the agent contain a webhook URL that differs from `agent.webhook_url`."""
    for place, url in agent.contradictions().items():
        print_line(
            f"Warning: {place} is still set to {url}. If calls still go to that URL, change this setting in the dashboard.",
            err=True,
        )


def show_session(session: SessionInfo, *, as_json: bool) -> None:
    """Print a session's figures and its transcript."""
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

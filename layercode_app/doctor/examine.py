"""Run every check, in the order of the report.

A check that needs the journal, the port or the network has a time limit. If a check raises an error, the other checks
still run.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from ..agent.discovery import STARTER, Found
from ..exceptions import ConfigurationError
from ..observability.checks import check as check_telemetry_settings
from ..settings import Settings, env_name, environment, export_env_file, load_settings
from . import local, remote
from .finding import Finding, State, failed, skipped

CHECK_SECONDS = 20.0
_CREDENTIALS = re.compile(r"://[^/@\s]*@")


@dataclass
class Examination:
    """The findings, and the settings with their values and sources."""

    findings: list[Finding] = field(default_factory=list)
    settings: list[dict[str, str]] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        """True if no check failed."""
        return all(finding.state is not State.FAILED for finding in self.findings)


async def examine(*, agent: str | None = None, offline: bool = False) -> Examination:
    """Run all checks. If the settings are wrong, no other check runs.

    The model of `agent` is checked by a request; without `agent`, the models of the project's agents are checked.
    `offline` skips the checks that need the network.
    """
    try:
        settings = load_settings()
        export_env_file()
        check_telemetry_settings(settings, environment())
    except ConfigurationError as error:
        return Examination([failed("settings", str(error), "Correct that setting; .env.example lists all settings.")])
    findings = [*local.check_settings(settings), local.check_command(), *local.check_secrets(settings)]
    found, agents = await asyncio.to_thread(local.check_agents, settings)
    findings += agents
    findings += [
        await _bounded("journal", lambda: local.check_store(settings)),
        local.check_log_folder(settings),
        await _bounded("port", lambda: local.check_port(settings)),
        local.check_tunnel_program(settings),
    ]
    if agent is not None and agent not in found.agents:
        findings.append(
            failed("agent", f"no agent is named {agent!r}", "Use the name of one of the agents listed above.")
        )
    voices = [found.agents[name] for name in _chosen(agent, found)]
    findings += await _remote(settings, voices, offline=offline)
    return Examination(findings, table(settings))


def _chosen(agent: str | None, found: Found) -> list[str]:
    """Return the names of the agents whose models are checked.

    These are the given agent, or else the project's own agents, or else the shipped agent `STARTER`.
    """
    if agent is not None:
        return [agent] if agent in found.agents else []
    return found.own() or [name for name in (STARTER,) if name in found.agents]


async def _remote(settings: Settings, voices: list[Any], *, offline: bool) -> list[Finding]:
    names = ["webhook at the platform", *(f"model of {voice.name}" for voice in voices), "clock", "sinks"]
    if offline:
        return [skipped(name, "needs the network; --offline was given") for name in names]
    checks: list[Callable[[], Awaitable[Finding | list[Finding]]]] = [
        lambda: _all(remote.check_platform(settings)),
        *((lambda voice=voice: remote.check_model(voice, settings)) for voice in voices),
        lambda: remote.check_clock(settings),
        lambda: _all(remote.check_sinks(settings, environment())),
    ]
    first, *rest = zip(names, checks, strict=True)
    # The platform check runs alone: it measures when frames arrive, and importing a model's library blocks the loop.
    results = [await _bounded(*first)]
    results += await asyncio.gather(*(_bounded(name, check) for name, check in rest))
    return [finding for result in results for finding in (result if isinstance(result, list) else [result])]


async def _all(findings: AsyncIterator[Finding]) -> list[Finding]:
    return [finding async for finding in findings]


async def _bounded(name: str, check: Callable[[], Awaitable[Any]]) -> Any:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except TimeoutError:
        return failed(name, f"no answer within {CHECK_SECONDS:g} s", "Try again. If it fails again, check the network.")
    except Exception as error:  # noqa: BLE001 - a check that raises becomes a finding; the report continues
        return failed(name, f"the check itself failed: {type(error).__name__}: {error}", "Please report this as a bug.")


def table(settings: Settings) -> list[dict[str, str]]:
    """Return every setting's variable, value (hidden for secrets) and source."""
    return [
        {"name": env_name(info), "value": _shown(getattr(settings, name)), "source": settings.sources[name]}
        for name, info in type(settings).model_fields.items()
        if env_name(info)
    ]


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return "(secret)"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_shown(item)}" for key, item in value.items())
    if isinstance(value, tuple | list):
        return ", ".join(_shown(item) for item in value)
    return "" if value is None else _CREDENTIALS.sub("://***@", str(value))

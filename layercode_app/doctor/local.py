"""Checks that also run offline: settings, secrets, agent files, journal, log folder, port, command, tunnel program."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx

from .._version import UNSHADOW, older_distribution, shadow_of
from ..agent.discovery import Found, discover
from ..exceptions import ConfigurationError, DeveloperError, StoreError
from ..journal.stores import create_store
from ..platform.probe import probe, project_here
from ..platform.tunnel import words_of
from ..settings import Settings, fault_of, ignored_settings, make_folder
from .finding import Finding, failed, ok, skipped, warning

SHORTEST_SECRET = 16
_DAMAGED = (
    "Stop the servers and move the file away, or restore a copy. "
    "`sqlite3 OLD .recover | sqlite3 NEW` recovers what is readable in a SQLite journal."
)
DASHBOARD = "Copy it from the platform's dashboard into .env"


def check_settings(settings: Settings) -> Iterator[Finding]:
    """Count the settings, and warn of broken lines and of names that look like settings but are ignored."""
    given = [name for name, source in settings.sources.items() if source != "default"]
    yield ok("settings", f"{len(given)} set, {len(settings.sources) - len(given)} at their default")
    for message in ignored_settings():
        yield warning("settings", message, "Correct the setting's name or its line in .env, or remove it.")


def check_secrets(settings: Settings) -> Iterator[Finding]:
    """Check that the webhook secrets, the API key and the agent's id are set, and that the secrets look intact."""
    secrets = [secret.get_secret_value() for secret in (*settings.webhook_secret, *settings.agent_secrets.values())]
    if not secrets:
        yield failed("webhook secret", "none is set, so no webhook can be verified",
                     f"{DASHBOARD} as LAYERCODE_WEBHOOK_SECRET; `dev` writes one for development.")  # fmt: skip
    elif faults := [fault for secret in secrets if (fault := fault_of(secret))]:
        yield failed("webhook secret", f"one {faults[0]}", f"{DASHBOARD} again, whole and without quotes.")
    elif short := [secret for secret in secrets if len(secret) < SHORTEST_SECRET]:
        yield warning("webhook secret", f"one is only {len(short[0])} characters long", "Use a long random secret.")
    else:
        yield ok("webhook secret", f"{len(secrets)} set")
    if settings.api_key is None:
        yield skipped("API key", "LAYERCODE_API_KEY is not set; browsers need it (/api/authorize)", f"{DASHBOARD}.")
    elif fault := fault_of(settings.api_key.get_secret_value()):
        yield failed("API key", f"LAYERCODE_API_KEY {fault}", f"{DASHBOARD} again, whole and without quotes.")
    else:
        yield ok("API key", "set")
    if settings.agent_id is None:
        yield skipped("agent id", "LAYERCODE_AGENT_ID is not set", "`connect` picks or creates an agent.")
    else:
        yield ok("agent id", settings.agent_id)


def check_agents(settings: Settings) -> tuple[Found, list[Finding]]:
    """Check that every agent file can be imported, and return the agents with the findings."""
    try:
        found = discover(settings.agents_dir)
    except DeveloperError as error:
        return Found(), [failed("agent files", str(error), "Create the folder, or set LAYERCODE_AGENTS_DIR.")]
    findings = [
        failed(f"agent file {path.name}", error.traceback.strip().splitlines()[-1] if error.traceback else str(error),
               error.advice or f"Fix {path}; `agents` shows its traceback.")
        for path, error in found.failed.items()
    ]  # fmt: skip
    if found.agents:
        findings.append(ok("agent files", _named(found)))
    elif not findings:
        findings.append(failed("agent files", "no agent was found", "Create one in ./agents, or set --agents."))
    return found, findings


def _named(found: Found) -> str:
    """Return the names of the project's own agents, then the names of the shipped agents, as text."""
    own = found.own()
    shipped = sorted(name for name in found.agents if name not in own)
    return "; ".join([*([", ".join(own)] if own else []), *([f"shipped: {', '.join(shipped)}"] if shipped else [])])


def check_command() -> Finding:
    """Check that `layercode-create-app`, the older distribution of this package, is not installed.

    Both distributions install a command of the same name. The command runs the distribution that was installed last.
    """
    if older := older_distribution():
        return warning("command", shadow_of(older), UNSHADOW)
    return ok("command", "the package layercode-create-app, the predecessor of layercode-app, is not installed")


async def check_store(settings: Settings) -> Finding:
    """Check that the journal can be opened, written and read."""
    fix = "Check LAYERCODE_STORE: the folder must be writable, or the Redis or PostgreSQL server must run and be reachable."
    try:
        store = create_store(settings.store)
    except ConfigurationError as error:
        return failed("journal", str(error), fix)
    try:
        await store.open()
        try:
            await store.ping()
            await store.verify()
        finally:
            await store.close()
    except StoreError as error:
        return failed("journal", str(error), _DAMAGED if _is_damaged(error) else fix)
    if settings.store == "memory":
        return warning(
            "journal",
            "in memory only",
            "The journal is lost when the server stops. Set LAYERCODE_STORE=sqlite:///PATH.",
        )
    return ok("journal", f"{store.component} can be read and written")


def _is_damaged(error: StoreError) -> bool:
    return any(word in str(error) for word in ("malformed", "not a database", "a turn that cannot be read"))


def check_log_folder(settings: Settings) -> Finding:
    """Check that files can be written in the log folder."""
    if not settings.log_dir:
        return skipped("log folder", "LOG_DIR is empty: no log files are written")
    folder = Path(settings.log_dir)
    try:
        make_folder(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return failed("log folder", f"{folder} cannot be written: {error.strerror}",
                      "Set LOG_DIR to a writable folder, or leave it empty and set LOG_FORMAT=json to use stdout.")  # fmt: skip
    return ok("log folder", str(folder))


async def check_port(settings: Settings) -> Finding:
    """Check that the port is free, or that this project's own server uses it."""
    where = f"{settings.host}:{settings.port}"
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((settings.host, settings.port))
        except OSError as error:
            reason = error.strerror
        else:
            return ok("port", f"{where} is free")
    host = settings.host if settings.host not in ("0.0.0.0", "::", "") else "127.0.0.1"
    url = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    other = await _who_has(url, settings)
    if other is None:
        return ok("port", f"{where} is served by this project")
    return failed("port", f"{where} cannot be used: {other or reason}", "Set PORT, or stop the program that uses it.")


async def _who_has(url: str, settings: Settings) -> str | None:
    """Find out which server uses the port.

    Returns None for a server of this project, a description for any other layercode-app server, and "" for any other
    program.
    """
    if not await _is_ours(url):
        return ""
    secrets = [secret.get_secret_value() for secret in (*settings.webhook_secret, *settings.agent_secrets.values())]
    why = "Without a webhook secret, `doctor` cannot ask this server for its project"
    for secret in secrets:
        verdict = await probe(f"{url}{settings.agent_route}", secret)
        if verdict.reached:
            same = verdict.project == project_here()
            return None if same else f"another project serves its agent {verdict.agent!r} there, with the same secret"
        why = verdict.reason.removesuffix(".")
    return f"a layercode-app server of another project or with other settings uses it. {why}"


async def _is_ours(url: str) -> bool:
    try:
        async with httpx.AsyncClient(timeout=2) as client:
            components = (await client.get(f"{url}/ready")).json()["components"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return False
    return "journal" in components


def check_tunnel_program(settings: Settings) -> Finding:
    """Check that the tunnel program, which --tunnel runs, is installed."""
    try:
        program = words_of(settings.tunnel_command)[0]
    except ConfigurationError as error:
        return failed("tunnel", str(error), "Correct LAYERCODE_TUNNEL_COMMAND, or remove it to use cloudflared.")
    if shutil.which(program):
        return ok("tunnel", f"{program} is installed")
    return skipped("tunnel", f"{program} is not installed; only --tunnel and `connect` need it",
                   "Install cloudflared, or set LAYERCODE_TUNNEL_COMMAND.")  # fmt: skip

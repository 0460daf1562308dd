"""Serve the app with uvicorn: one process or several, with or without reload."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from loguru import logger

from ..agent.discovery import Found, discover, find_by_import
from ..agent.models import named_model, own_model
from ..agent.offline import MODEL_NAME
from ..agent.open_calls import connect
from ..agent.shipped import BUILT_IN
from ..agent.voice_agent import VoiceAgent
from ..exceptions import ConfigurationError
from ..observability.setup import configure, keep_ours, shutdown
from ..observability.uncaught import catch_all
from ..settings import (
    ENV_FILE,
    TOML_FILE,
    Settings,
    export_env_file,
    load_settings,
    options_for_workers,
    pass_to_workers,
)
from .announce import announce, announce_address, tell_of, tell_of_settings
from .app import LayerCode, create_app
from .collector import spare_the_collector
from .connections import BoundedConnection, Bounds
from .descriptors import raise_limit
from .listening import run_server, supervise
from .origins import LOCAL_ORIGINS
from .port import check_port, free_port
from .shutdown import drain_on_signals, hangup_as_term
from .tunnelling import EndsWithTunnel, TunnelBeside, repair_webhook
from .warmup import warm_up

LINGER_SECONDS = 3
WORKER_SECONDS = 30
"""Timeout for a worker to answer its parent, also while it starts. On a busy host uvicorn's 5 s would abort a rolling
restart, or kill workers that are still importing."""
RELOAD_DRAIN_SECONDS = 1.0
"""Drain time with --reload: short, so that developers do not wait at every reload."""
FACTORY = "layercode_app.server.serve:worker_app"
_connecting: set[asyncio.Task[None]] = set()
"""Strong references to running tasks, which might be garbage-collected otherwise."""


@dataclass
class ServeOptions:
    """The options of `run`. All are plain values, because they are passed to worker processes."""

    agent: str = ""
    """The name of an agent, or package.module:attribute.

    If empty, the project's only agent is served. A project without agents gets the starter.
    """
    examples: bool = False
    """Serve all shipped agents too, besides the project's own and the chosen one."""
    agents_dir: str | None = None
    model: str | None = None
    verbose: bool = False
    env_file: str | None = None
    workers: int = 1
    reload: bool = False
    local: bool = False
    """Set by `dev`: unless the settings say otherwise, pages of this machine may request sessions with any agent."""
    developing: bool = False
    """Whether the console is the developer's own terminal: errors of the agent are shown there in full, and an agent
    whose model has no key answers offline."""
    quiet: bool = False
    """Whether the console shows warnings and errors only, because a conversation takes place on it."""
    tunnel: bool = False
    update_webhook: bool = False
    """Point the agent's webhook at the tunnel, and restore it at the end."""
    needs_tunnel: bool = False
    """End with exit code 1 when the tunnel is lost."""
    settings: dict[str, Any] = field(default_factory=dict)
    exported: dict[str, str] = field(default_factory=dict)
    """The variables of `.env` that this process or its parent has exported to the environment."""

    def __post_init__(self) -> None:
        if self.workers > 1 and self.reload:
            raise ConfigurationError(
                f"--workers {self.workers} and --reload cannot be combined. Use --reload while you work on an agent, "
                "and --workers to serve it."
            )

    @property
    def alone(self) -> bool:
        """Whether this process serves the app itself. If not, it supervises worker processes."""
        return self.workers == 1 and not self.reload

    def load(self) -> Settings:
        """Load the settings, overridden by these options."""
        given = dict(self.settings)
        if self.verbose:
            given["log_level"] = "DEBUG"
        if self.reload:
            given.setdefault("drain_seconds", RELOAD_DRAIN_SECONDS)
        settings = load_settings(given, env_file=self.env_file or ENV_FILE)
        if not self.local:
            return settings
        local = {"authorize_origins": LOCAL_ORIGINS, "authorize_agents": ("*",)}
        given |= {name: value for name, value in local.items() if settings.sources[name] == "default"}
        return load_settings(given, env_file=self.env_file or ENV_FILE)

    def export(self) -> None:
        """Export the variables of `.env` as the file is now. A variable that the file no longer has is removed."""
        self.exported = export_env_file(self.env_file or ENV_FILE, exported=self.exported)


def serve(options: ServeOptions, *, prepare: Callable[[LayerCode], None] = lambda app: None) -> None:
    """Serve until stopped. Raises DeveloperError, before the server listens, if the server cannot work.

    `prepare` is called with the app of this process, before anything listens.
    """
    if options.tunnel and options.load().port == 0:
        options.settings["port"] = free_port()
    settings = options.load()
    _refuse_separate_memories(options, settings)
    check_port(settings.host, settings.port)
    app = build(options, settings, serving=options.alone)
    prepare(app)
    tell_of_settings(options.env_file or ENV_FILE)
    raise_limit(settings.max_turns)
    announce(app, settings)
    repair_webhook(settings)
    end = EndsWithTunnel(app) if options.needs_tunnel else None
    with hangup_as_term(), _tunnel(options, settings, app, lost=end.lose if end else None):
        _run(options, settings, app)
    if end is not None and end.lost:
        raise SystemExit(1)


def _refuse_separate_memories(options: ServeOptions, settings: Settings) -> None:
    """Raise ConfigurationError for several workers with the memory store.

    Each worker would have a separate store, so a turn that is delivered twice could be answered by two workers.
    """
    if options.workers > 1 and settings.store == "memory":
        raise ConfigurationError(
            f"--workers {options.workers} and the store `memory` cannot be combined, because workers share no memory. "
            "Use --workers 1, or another LAYERCODE_STORE, such as sqlite:///.layercode/journal.sqlite3."
        )


def _tunnel(
    options: ServeOptions, settings: Settings, app: LayerCode, *, lost: Callable[[], None] | None
) -> AbstractContextManager[object]:
    if not options.tunnel:
        return nullcontext()
    secret = settings.secrets_for(next(iter(app.agents)))[0]
    return TunnelBeside(settings, secret=secret, update_webhook=options.update_webhook, lost=lost)


def _run(options: ServeOptions, settings: Settings, app: LayerCode) -> None:
    common = uvicorn_options(settings)
    told = partial(_tell_address, app, settings)
    if options.alone:
        run_server(uvicorn.Config(app, **common), told)
        return
    pass_to_workers(asdict(options))
    folders = [str(path) for path in (Path(options.agents_dir or "agents"), *BUILT_IN) if path.is_dir()]
    config = uvicorn.Config(
        FACTORY,
        factory=True,
        workers=options.workers,
        reload=options.reload,
        reload_dirs=folders if options.reload else None,
        reload_includes=["*.py", "*.md"] if options.reload else None,
        **common,
    )
    supervise(config, told, files=[Path(options.env_file or ENV_FILE), Path(TOML_FILE)])


def _tell_address(app: LayerCode, settings: Settings, port: int) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    first, *others = app.agents
    more = ", every agent at /api/agents/NAME" if others else ""
    announce_address("Serving {} at http://{}:{}{}{}", first, host, port, settings.agent_route, more)


def worker_app() -> LayerCode:
    """Return the app of a worker process, built from the options that its parent passed."""
    options = ServeOptions(**options_for_workers())
    # Before the settings are loaded, because the parent's values are in the environment, and the file may have changed.
    options.export()
    return build(options, options.load())


def build(options: ServeOptions, settings: Settings, *, serving: bool = True) -> LayerCode:
    """Configure this process and return its app. `serving` is false in a process that only supervises workers."""
    options.export()
    configure(settings, verbose=options.verbose, serving=serving, developing=options.developing, quiet=options.quiet)
    found, first = _agents(options, settings)
    keep_ours(voice.agent for voice in (*found.agents.values(), first))
    app = create_app(
        _served(found, options, first.name),
        first,
        settings=settings,
        model=options.model,
        offline_without_key=options.developing,
    )
    if not options.developing and options.model != MODEL_NAME:
        _refuse_keyless(found, app)
    drain_on_signals(app)
    app.on_start.append(catch_all)
    spare_the_collector()
    # Close the log and telemetry sinks here: a process that is ended by a signal does not run its exit handlers.
    app.on_stop.append(shutdown)
    if serving:
        warm_up(app.agents.values())
        app.on_start.append(partial(_connect_models, app))
    return app


def _connect_models(app: LayerCode) -> None:
    """Open the connections of the chosen agent in a task. Neither start nor shutdown waits for it.

    The connections of another agent are opened when one of its calls begins.
    """
    connecting = asyncio.create_task(connect([next(iter(app.agents.values()))]), name="model-connections")
    _connecting.add(connecting)
    connecting.add_done_callback(_connecting.discard)


def uvicorn_options(settings: Settings) -> dict[str, Any]:
    """Return uvicorn's options. They are the same with one process, with several workers and with reload."""
    return {
        "host": settings.host,
        "port": settings.port,
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "forwarded_allow_ips": list(settings.trusted_proxies),
        "http": partial(BoundedConnection, bounds=Bounds.of(settings)),
        "timeout_keep_alive": settings.keep_alive,
        # All turns have ended before this timeout begins. It limits the wait for clients that keep a connection open.
        "timeout_graceful_shutdown": LINGER_SECONDS,
        "timeout_worker_healthcheck": WORKER_SECONDS,
    }


def _refuse_keyless(found: Found, app: LayerCode) -> None:
    """Raise ConfigurationError if a helper agent's model has no key. The served agents' models were checked before."""
    # A list, because a model need not be hashable.
    checked = [own_model(voice.agent) for voice in app.agents.values() if voice.agent is not None]
    for name in found.keyless:
        if name not in checked:
            named_model(name, "A model in the agent files,")


def _served(found: Found, options: ServeOptions, first: str) -> Found:
    """Return the project's own agents and the agent `first`. With the option `examples`, return all agents found."""
    return found if options.examples else found.without_examples(keep=first)


def _agents(options: ServeOptions, settings: Settings) -> tuple[Found, VoiceAgent[Any, Any]]:
    found = discover(Path(options.agents_dir) if options.agents_dir else settings.agents_dir)
    first = find_by_import(options.agent) if ":" in options.agent else found.get(options.agent)
    tell_of(found)
    if not options.agent and found.is_example(first.name):
        logger.info("No agent of your own was found, so the example {!r} answers. `new` creates a project.", first.name)
    return found, first

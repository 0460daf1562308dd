"""`LayerCode`: the ASGI app around one or more agents, served alone or mounted in another app."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import Context
from typing import Any

from loguru import logger
from starlette.applications import Starlette

from ..agent.connections import Connections
from ..agent.discovery import Found
from ..agent.faults import fault_of_speech, fault_of_tools
from ..agent.models import choose_model, shared_providers
from ..agent.open_calls import OpenCalls
from ..agent.option_checks import check_type
from ..agent.outputs import warn_of_outputs
from ..agent.runner import AgentRunner
from ..agent.voice_agent import VoiceAgent
from ..conversation.admission import TurnHandler
from ..conversation.session_events import SessionHandler
from ..exceptions import ConfigurationError, DeveloperError
from ..jobs.queue import Jobs
from ..journal.record import Kind, TurnRecord
from ..journal.stores import create_store
from ..journal.stores.base import Store
from ..journal.task_jobs import HANDOFF
from ..observability import metrics, spans
from ..observability.crashed import turn_crashed
from ..observability.setup import keep_metrics
from ..observability.turns import data_finished, turn_finished
from ..settings import NO_SECRET, Settings, load_settings, refuse_faulty_secrets
from ..settings.limits import Limits
from ..stream.event_stream import Receive, Send
from ..watch.watch import CHORES, Watch
from .asgi import Scope, route_path, secured, send_error, without_slash
from .authorize import Authorize
from .health import Health
from .job_dispatch import JobDispatch
from .open_journal import Journal
from .requests import Logged, answered, watched
from .routes import Routes
from .webhook import Webhook

DRAIN_SECONDS = 10.0
RECONNECT_SECONDS = 30.0
"""Seconds that the connections of replaced agents stay open for their running turns."""
DAY = 86_400


class LayerCode:
    """Answers LayerCode's webhooks with agents: `app.mount("/voice", LayerCode(agent))`.

    The first agent answers at the agent route, and each agent at `/api/agents/NAME`. The app changes nothing in the
    host process: it configures no logging, telemetry or signal handlers. If the host does not run the app's lifespan,
    the app starts with the first request.

    Args:
        agents: VoiceAgents; a bare PydanticAI agent is wrapped in one.
        settings: The settings; by default they are read from the environment, `.env` and `layercode.toml`.
        store: The journal's store; by default the store at the URL in LAYERCODE_STORE.
        model: Override every agent's model; "offline" plays their scripts.
        offline_without_key: Play an agent's script if its model has no key, for development. By default a missing key
            is an error.
        failed: Agent files that failed to import, with their errors, for `/ready`.
        metrics: Collect metrics, for `/metrics` and for the OpenTelemetry of the host app. `run` collects them anyway.
        runner: The class of the agents' runners, which speak the turns; tests pass their own.

    Raises:
        ConfigurationError: no webhook secret is set, or the model cannot be used.
        DeveloperError: an argument has the wrong type.

    """

    def __init__(
        self,
        *agents: VoiceAgent[Any, Any] | Any,
        settings: Settings | None = None,
        store: Store | None = None,
        model: str | None = None,
        offline_without_key: bool = False,
        failed: Mapping[str, str] | None = None,
        metrics: bool = False,
        runner: Callable[[VoiceAgent[Any, Any]], AgentRunner] = AgentRunner,
    ) -> None:
        _check_arguments(settings, store, model)
        self.settings = settings or load_settings()
        if metrics:
            keep_metrics()
        self.store = store or create_store(self.settings.store, keep_seconds=self.settings.retention_days * DAY)
        self.model = model
        self._offline_without_key = offline_without_key
        dispatch = JobDispatch(
            lambda: self.watch,
            lambda: self.settings,
            lambda: self.runners,
            lambda: self.sessions.correct,
            self.store,
            self._count_late,
        )
        self.jobs = Jobs(self.store, dispatch, first=(*CHORES, HANDOFF), elsewhere=dispatch.retry_elsewhere)
        self.watch = Watch(self.settings, self.store, self.jobs.enqueue, crashed=self._count_crashed)
        self.turns = TurnHandler(
            self.store,
            limits=Limits.of(self.settings),
            background=self.jobs.background,
            finished=self._finished,
            refusal=self.watch.budgets.refusal if self.watch.budgets.any else None,
            enqueue=self.jobs.enqueue,
            agents=lambda: self.runners,
            used=self._count_late,
            interrupted=self._count_interruption,
            crashed=self._count_crashed,
        )
        self.sessions = SessionHandler(self.turns.services, self.jobs, self.turns.running)
        self.authorize = Authorize(self.settings, self.store)
        self.health = Health(self.store, failed=failed or {})
        self._logged = Logged(self.settings.log_headers)
        self._runner = runner
        self.runners: dict[str, AgentRunner] = {}
        self._webhooks: dict[str, Webhook] = {}
        self._journal = Journal(self.store, opened=self.watch.enqueue_chores)
        self._calls = OpenCalls()
        self._loop: asyncio.AbstractEventLoop | None = None
        """The event loop on which the app starts and runs; None before `start` and after `stop`."""
        self._starting: asyncio.Lock
        self._started = False
        self.on_start: list[Callable[[], None]] = []
        """Called when the lifespan begins, after the app has started."""
        self.on_turn: list[Callable[[TurnRecord], None]] = []
        """Called with the record of every turn that ended, except data events."""
        self.on_stop: list[Callable[[], None]] = []
        """Called in a thread when the lifespan ends, after the app has stopped."""
        self.use(*agents)
        self._routes = Routes(self.health.ready, self.posts_at).starlette(self._lifespan)

    @property
    def agents(self) -> dict[str, VoiceAgent[Any, Any]]:
        """The agents of this app, keyed by name. The first one answers at the agent route."""
        return {name: runner.voice for name, runner in self.runners.items()}

    def use(self, *agents: VoiceAgent[Any, Any] | Any) -> None:
        """Answer with these agents from now on; running turns keep the agents with which they began."""
        voices = [agent if isinstance(agent, VoiceAgent) else _with_voice(agent) for agent in agents]
        if not voices:
            raise DeveloperError("LayerCode() needs at least one agent, such as LayerCode(my_agent).")
        refuse_faulty_secrets(self.settings)
        with shared_providers():
            for voice in voices:
                self._prepare(voice)
        self.runners = {voice.name: self._runner(voice) for voice in voices}
        self._webhooks = {f"/api/agents/{name}": self._webhook(runner) for name, runner in self.runners.items()}
        self._webhooks[self.settings.agent_route] = self._webhook(self.runners[voices[0].name])
        self.health.agents = list(self.agents)
        self.authorize.hooks = voices[0].hooks.get("authorize", [])

    def apply(self, settings: Settings, *agents: VoiceAgent[Any, Any] | Any) -> None:
        """Answer with these settings and agents from the next turn on. If it raises DeveloperError, nothing changes."""
        before, self.settings = self.settings, settings
        try:
            self.use(*agents)
        except BaseException:
            self.settings = before
            raise
        self.turns.limits = Limits.of(settings)
        self.authorize.apply(settings)

    def _prepare(self, voice: VoiceAgent[Any, Any]) -> None:
        if not self.settings.secrets_for(voice.name):
            raise ConfigurationError(NO_SECRET)
        if fault := fault_of_tools(voice):
            raise DeveloperError(fault)
        if fault := fault_of_speech(voice):
            logger.warning("{}", fault)  # not an error: an app may mount an agent for its events only
        choose_model(voice, self.settings, asked=self.model, offline_without_key=self._offline_without_key)
        if voice.agent is not None:
            warn_of_outputs(voice.name, voice.agent, speak=voice.speak is not None)

    def _webhook(self, runner: AgentRunner) -> Webhook:
        return Webhook(
            runner, self.turns, self.sessions, self.settings, self.watch.refusals.add, noted=self._calls.note
        )

    # --- ASGI

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request and log it."""
        if scope["type"] != "http":
            await self._routes(scope, receive, send)
            return
        if not self._started or self._abandoned:
            # The tasks that start here must not keep the context of this request's caller, so they get an empty one.
            await asyncio.create_task(self.start(), context=Context())
        with self._logged.during(scope) as request:
            await self._dispatch(scope, receive, watched(send, request))

    def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Send a request to its handler: webhooks first, without any router."""
        path = route_path(scope)
        webhook = self._webhooks.get(path)
        if webhook is not None and scope["method"] == "POST":
            return webhook(scope, receive, send)
        elsewhere = path.startswith("/api/") or path == self.settings.authorize_route
        if elsewhere and scope["method"] == "POST" and webhook is None:
            return self._post(path, scope, receive, send)
        if scope["method"] == "OPTIONS" and path == self.settings.authorize_route:
            return self.authorize.preflight(scope, send)
        return self._routes(without_slash(scope), receive, secured(send))

    async def _post(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        if path == self.settings.authorize_route:
            with answered():
                await self.authorize(scope, receive, self._counting(send))
            return
        known = ", ".join(sorted(self.agents))
        await send_error(send, 404, f"Nothing is at {path[:200]!r}. Agents here: {known}.")

    def _counting(self, send: Send) -> Send:
        """Return a `send` that counts answers with a 4xx status, for alerts."""

        async def counted(message: Any) -> None:
            if message["type"] == "http.response.start" and 400 <= message["status"] < 500:
                self.watch.refusals.add("authorize_refusals")
            await send(message)

        return counted

    def posts_at(self, path: str) -> bool:
        """Return whether an agent or the authorize endpoint answers POST at this path."""
        return path in self._webhooks or path == self.settings.authorize_route

    # --- start and stop

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        await self.start()
        for begin in self.on_start:
            begin()
        try:
            yield
        finally:
            try:
                await self.stop()
            finally:
                for end in self.on_stop:
                    await asyncio.to_thread(end)

    async def start(self) -> None:
        """Open the journal and the agents' connections, and start the jobs. Further calls do nothing until `stop`.

        If the event loop of the last start was closed without a call of `stop`, start again. Starlette's TestClient can
        close the loop in this way.
        """
        if self._abandoned:
            self._loop, self._starting, self._started = asyncio.get_running_loop(), asyncio.Lock(), False
        async with self._starting:
            if not self._started:
                await self._start()
                self._started = True

    @property
    def _abandoned(self) -> bool:
        """Whether the app has no event loop, or one that is closed."""
        return self._loop is None or self._loop.is_closed()

    async def _start(self) -> None:
        self.health.draining = False
        self.turns.open()
        self.authorize.open()
        self._calls.open()
        with spans.upkeep():
            await self._journal.open()
        self._connections = self._new_connections()
        await self._connections.open([runner.voice for runner in self.runners.values() if runner.opens_at_start])
        metrics.declare(self.agents)
        with spans.upkeep():
            self.jobs.start()

    def _new_connections(self) -> Connections:
        return Connections(self.settings.model_keep_alive, http2=self.settings.model_http2)

    async def open_connections(self, agent: str) -> None:
        """Open an agent's connections, if `start` has not opened them. They are closed when the app stops."""
        await self._connections.open([self.agents[agent]])

    async def reconnect(self) -> None:
        """Open the current agents' connections, then close the old ones.

        Before the old ones are closed, the running turns get up to RECONNECT_SECONDS to end.
        """
        if not self._started:
            return
        before, running = self._connections, list(self.turns.running.values())
        ends = [asyncio.create_task(turn.ended.wait()) for turn in running]
        self._connections = self._new_connections()
        try:
            await self._connections.open(self.agents.values())
            if ends:
                await asyncio.wait(ends, timeout=RECONNECT_SECONDS)
        finally:
            for end in ends:
                end.cancel()
            await asyncio.shield(before.close())

    async def drain(self) -> None:
        """Refuse new turns and wait for the running ones; turns that take too long end with a goodbye."""
        self.health.draining = True
        await self.turns.drain(self.settings.drain_seconds, self.settings.goodbye)

    async def stop(self) -> None:
        """Finish turns and jobs within their time limits, and close the connections and the journal."""
        if not self._started or self._abandoned:
            return
        self.health.draining = True
        await self.turns.drain(goodbye=self.settings.goodbye)
        await self.jobs.drain(DRAIN_SECONDS)
        await self.watch.stop()
        await self.authorize.close()
        await self._calls.close()
        await self._connections.close()
        await self._journal.close()
        self._started, self._loop = False, None

    def _finished(self, record: TurnRecord) -> None:
        if record.kind is Kind.DATA:
            data_finished(record)
        else:
            turn_finished(record)
            for tell in list(self.on_turn):
                tell(record)
        self.watch.count(record)

    def _count_interruption(self, record: TurnRecord) -> None:
        """Count the interruption of a turn that was counted as complete when it ended."""
        metrics.add(metrics.INTERRUPTIONS, 1, record.agent)
        self.watch.count_interruption(record)

    def _count_crashed(self, record: TurnRecord) -> None:
        """Report and count a turn that failed because its worker died."""
        turn_crashed(record)
        self.watch.count(record)

    def _count_late(self, record: TurnRecord) -> None:
        """Count usage that was added to an already counted turn, for example by the job that writes a summary."""
        metrics.record_usage(record)
        self.watch.count(record)


def create_app(found: Found, first: VoiceAgent[Any, Any], **options: Any) -> LayerCode:
    """Return the app that `run` serves: the chosen agent first, then the others. `options` are passed to LayerCode."""
    others = [voice for voice in found.agents.values() if voice.name != first.name]
    failed = {str(path): str(error) for path, error in found.failed.items()}
    return LayerCode(first, *others, failed=failed, **options)


def _check_arguments(settings: object, store: object, model: object) -> None:
    """Raise DeveloperError for an argument of `LayerCode` of the wrong type."""
    if settings is not None:
        check_type("LayerCode settings", settings, Settings, "Settings, such as load_settings()")
    if store is not None:
        check_type(
            "LayerCode store",
            store,
            Store,
            "a Store; for a URL, pass settings=load_settings({'store': 'sqlite:///calls.sqlite3'})",
        )
    if model is not None:
        check_type("LayerCode model", model, str, "a model's name, such as 'openai:gpt-5-mini' or 'offline'")


def _with_voice(agent: Any) -> VoiceAgent[Any, Any]:
    return VoiceAgent(getattr(agent, "name", None) or "agent", agent)

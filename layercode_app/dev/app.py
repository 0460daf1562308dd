"""The development server as one ASGI app: the agents' webhooks, the emulated platform, and the page at `/`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from loguru import logger
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from ..agent.discovery import folders
from ..agent.models import choose_model
from ..emulator.agents import AgentSpec
from ..emulator.emulator import Emulator
from ..emulator.faults import Faults
from ..emulator.guard import Guard
from ..emulator.playground.api import page_routes
from ..emulator.playground.source import SaveTurnRequest, Source
from ..emulator.rest import rest_routes
from ..emulator.speech import Voice
from ..emulator.transcription import Transcriber
from ..emulator.websocket import websocket_route
from ..exceptions import LayerCodeError
from ..journal.read import turns_of
from ..observability.failure import keep_failure
from ..replay.promote_turn import save_turn
from ..server.app import LayerCode
from ..server.asgi import route_path
from ..settings import Settings
from ..settings.environment import environment
from ..testing.evals.live.call_watch import CallWatch, WatchedRunner
from .agents import AgentFiles, Loaded, describe
from .callers import CallersFound, find_callers
from .forks import fork_for_page, models_for_page
from .reload import need_restart
from .reviews import goal_for_page, scenario_for_page
from .simulated_calls import SimulatedCalls, names_of
from .suggestions import suggestions

RECORDINGS = Path(".layercode/recordings")
OWN_PATHS = ("/dev/", "/v1/", "/emulator/")
"""Path prefixes of the page and the emulator, besides `/`; all other paths belong to the agent server."""

REMEDIES = {
    401: "If the webhook secret changed during this call, start a new call.",
    404: "If this agent was renamed or its file was deleted, start a new call with another agent.",
}
"""What to do about a webhook that this server refused, by status."""


class DevApp:
    """The development server, all on one port. `url` is its address, such as http://127.0.0.1:8000.

    `voice`, `recordings` (the folder for WAV files), `transcriber` and the initial `faults` are passed to the emulator,
    which ends a call after `session_timeout` seconds of silence. Turns are saved as scenarios and tests in the folder
    `project`.

    Raises DeveloperError if the chosen agent cannot be loaded at all.
    """

    def __init__(
        self,
        files: AgentFiles,
        settings: Settings,
        *,
        url: str,
        model: str | None = None,
        voice: Voice | None = None,
        recordings: Path = RECORDINGS,
        faults: Faults | None = None,
        session_timeout: float | None = None,
        transcriber: Transcriber | None = None,
        project: Path = Path(),
    ) -> None:
        self.url = url
        self.closing = asyncio.Event()
        self._reconnecting: asyncio.Task[None] | None = None
        self._reload_error: str | None = None
        self._files = files
        self._model = model
        self._session_timeout = session_timeout
        self._project = project.absolute()  # a hook or tool may change the working directory
        self._loaded = files.load()
        self._say = self._suggestions(self._loaded)
        watches: dict[str, CallWatch] = {}
        self.layercode = LayerCode(
            *self._loaded.voices,
            settings=settings,
            model=model,
            offline_without_key=True,
            failed=self._loaded.failed,
            runner=partial(WatchedRunner, watches=watches),
        )
        # The dev page shows the developer the text of errors, so keep it. A production journal does not contain it.
        self.layercode.turns.services.failed = keep_failure
        first, *others = self._specs()
        self.emulator = Emulator(
            first,
            agents=others,
            any_agent=True,
            voice=voice,
            recordings=recordings.absolute(),
            faults=faults,
            transcriber=transcriber,
        )
        self.simulated = SimulatedCalls(self.layercode, self.emulator, find=self._find_callers, watches=watches)
        self._local = self._starlette()
        self._own = Guard(self._local)
        self._authorize = Guard(self.layercode, page=False)

    @property
    def _settings(self) -> Settings:
        return self.layercode.settings

    def _specs(self) -> list[AgentSpec]:
        """Return the agents of the emulated platform. The id of each agent is its name.

        If LAYERCODE_AGENT_ID is set, the first agent is listed a second time, with this id.
        """
        names = list(self.layercode.agents)
        ids = {name: name for name in names} | ({self._settings.agent_id: names[0]} if self._settings.agent_id else {})
        return [
            AgentSpec(
                agent_id,
                f"{self.url}/api/agents/{name}",
                self._settings.secrets_for(name)[0],
                name=name,
                session_timeout=self._session_timeout,
                remedies=REMEDIES,
            )
            for agent_id, name in ids.items()
        ]

    def _starlette(self) -> Starlette:
        log_dir = Path(self._settings.log_dir) if self._settings.log_dir else None
        source = Source(
            store=self.layercode.store,
            emulator=self.emulator,
            agents=self.describe,
            running=self.layercode.turns.running_record,
            models=lambda: models_for_page(self._settings, environment()),
            fork=partial(fork_for_page, self.layercode),
            save_turn=self._save_turn,
            guess_goal=partial(goal_for_page, self.layercode.store),
            review_scenario=partial(scenario_for_page, self.layercode.store, self._project),
            simulated=self.simulated,
            log_dir=log_dir,
            closing=self.closing,
        )
        return Starlette(
            routes=[*page_routes(source), *rest_routes(self.emulator), websocket_route(self.emulator)],
            lifespan=self._lifespan,
        )

    # --- ASGI

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch to the page and the emulator, or to the agent server, which checks the signatures of webhooks."""
        if scope["type"] == "lifespan":
            await self._local(scope, receive, send)
        elif scope["type"] == "websocket" or scope["path"].startswith(OWN_PATHS) or self._is_page(scope):
            await self._own(scope, receive, send)
        elif route_path(scope) == self._settings.authorize_route:
            # This route hands out the emulator's keys, so only this machine's pages and programs may call it.
            await self._authorize(scope, receive, send)
        else:
            await self.layercode(scope, receive, send)
            if scope["method"] == "POST":
                self.emulator.feed.publish({"kind": "journal"})

    def _is_page(self, scope: Scope) -> bool:
        return bool(scope["path"] == "/" and scope["method"] in ("GET", "HEAD"))

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        await self.layercode.start()
        for begin in self.layercode.on_start:
            begin()
        try:
            yield
        finally:
            self.close_streams()
            await self.emulator.aclose()
            if self._reconnecting is not None:
                self._reconnecting.cancel()
                await asyncio.wait({self._reconnecting})
            await self.layercode.stop()
            for end in self.layercode.on_stop:
                await asyncio.to_thread(end)

    def close_streams(self) -> None:
        """End the page's live feed, so that the shutdown does not wait for it."""
        self.closing.set()

    # --- calls from the page

    def describe(self) -> dict[str, Any]:
        """Return the agents, the failed files with their tracebacks, and the error of the latest reload."""
        examples = self._loaded.examples
        agents = [
            describe(voice, example=voice.name in examples) | {"say": self._say.get(voice.name, [])}
            for voice in self.layercode.agents.values()
        ]
        kept = self._loaded.kept
        failed = [
            {"file": path, "traceback": text, "answers": path in kept} for path, text in self._loaded.failed.items()
        ]
        return {"agents": agents, "failed": failed, "error": self._reload_error}

    async def _save_turn(self, asked: SaveTurnRequest) -> Any:
        turns = await turns_of(self.layercode.store, asked.conversation_id, bodies=True)
        path = await asyncio.to_thread(save_turn, turns, asked.turn_id, form=asked.form, project=self._project)
        return {"path": path.as_posix()}

    def _find_callers(self) -> CallersFound:
        names = names_of(self.layercode, self._files.chosen)
        return find_callers(self._project, folders(self._files.agents_dir), names)

    def _suggestions(self, loaded: Loaded) -> dict[str, list[str]]:
        return suggestions(self._project, (voice.name for voice in loaded.voices))

    # --- reload

    def watched(self) -> list[Path]:
        """Return the folders in which a change triggers a reload."""
        return self._files.watched()

    def reload(self, settings: Settings) -> None:
        """Reload the agents and use them from the next turn on; running turns are not affected.

        If that fails, nothing changes, and the reason is logged and shown on the page.
        """
        try:
            loaded = self._files.load()
            for voice in loaded.voices:
                choose_model(voice, settings, asked=self._model, offline_without_key=True)
            before, names = self.layercode.settings, list(self.layercode.agents)
            self.layercode.apply(settings, *loaded.voices)
        except LayerCodeError as error:
            self.refuse_reload(error)
            return
        self._reload_error = None
        self._loaded = loaded
        self._say = self._suggestions(loaded)
        self._reconnecting = asyncio.create_task(self._reconnect(self._reconnecting), name="reconnect")
        self.layercode.health.failed = loaded.failed
        self.emulator.use(*self._specs())
        self._tell_of_reload(before, names)

    def _tell_of_reload(self, before: Settings, names: Sequence[str]) -> None:
        """Log what changed, and tell the page. `before` and `names` are the earlier settings and names of agents."""
        logger.info("Reloaded: {}", ", ".join(self.layercode.agents))
        gone = [name for name in names if name not in self.layercode.agents]
        if gone:
            logger.warning("No agent file has these agents any more: {}", ", ".join(gone))
        if waiting := need_restart(before, self._settings):
            logger.warning("Changed settings that need a restart of `dev`: {}", ", ".join(waiting))
        self.emulator.feed.publish({"kind": "reload", "gone": gone, **self.describe()})

    def refuse_reload(self, error: LayerCodeError) -> None:
        """Keep the agents and the settings. Log the error, and show it on the page until a reload succeeds."""
        logger.error("The reload failed, so the agents stay as they were: {}", error)
        self._reload_error = str(error)
        self.emulator.feed.publish({"kind": "reload", **self.describe()})

    async def _reconnect(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})
        await self.layercode.reconnect()

"""`AgentCall`: one caller and one agent, in process. Every event is signed and goes through the whole server."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from ..agent.discovery import Found, discover, find_by_import
from ..agent.voice_agent import VoiceAgent
from ..conversation.flow import own_fields, scope_of
from ..emulator.webhooks import Answer, WebhookClient
from ..exceptions import DeliveryError
from ..journal.record import Json, TurnRecord
from ..journal.stores.base import Store
from ..server.app import LayerCode
from ..settings import load_settings
from . import events
from .asgi import InProcess
from .interruption import Cut, Point
from .mocks import Mocks, RecordingRunner, Seen, check_tool
from .script import ScriptedModelError
from .turn import HeardTurn, transcript

SECRET = "test-secret"  # noqa: S105 - this server runs only inside the test
END_SECONDS = 10.0
BLOCKED = "Model requests are not allowed"


class CallError(AssertionError):
    """The call cannot continue; the message ends with the transcript so far."""


class AgentCall:
    """A call to one agent. Its first event opens the call.

    The ids of sessions and turns count up from 1, so they are the same in every test run.

    Args:
        agent: A VoiceAgent, a PydanticAI agent, the name of an agent in a file, or `package.module:attribute`.
        agents: The folder, or result of `discover`, in which an agent's name is looked up.
        model: Overrides the agent's model: a PydanticAI model, such as `scripted(...)`, or a model's name. By default
            an agent that has an offline script uses that script.
        settings: Settings by name. Most other settings come from the environment, or else have their defaults. The
            settings for the store, the default model, the fallback models and the log folder are not read from the
            environment, and no setting is read from a file. The webhook secret is always that of the test kit.
        store: The journal; in memory by default.
        conversation_id: The id of the conversation.
        metadata: Metadata that is sent with every event.
        others: More agents on the same server, to which the agent can hand the call. By default, if `agent` is the
            name of an agent in a file, these are the other agents in the file's folder. The connections of another
            agent, such as its MCP servers, are opened when the call is handed to it.

    """

    def __init__(
        self,
        agent: VoiceAgent[Any, Any] | Any,
        *,
        agents: Path | str | Found | None = None,
        model: Any = None,
        settings: Mapping[str, Any] | None = None,
        store: Store | None = None,
        conversation_id: str = events.CONVERSATION_ID,
        metadata: Mapping[str, Json] | None = None,
        others: Sequence[VoiceAgent[Any, Any]] | None = None,
    ) -> None:
        self.conversation_id = conversation_id
        self.session_id = events.SESSION_ID
        self.turns: list[HeardTurn] = []
        """The turns so far."""
        self.sent: list[dict[str, Json]] = []
        """The events of `greet`, `say`, `send_data`, `update` and `end` so far. `send` and `resend` add nothing."""
        self._metadata = dict(metadata or {})
        self._mocks = Mocks()
        self._seen = Seen()
        self._cut: Cut | None = None
        self._sessions = self._turn_ids = 1
        # Copy the agents, because a call sets their models.
        self.agent, *more = map(copy.copy, _served(agent, agents, others))
        self.app = _app([self.agent, *more], settings, store, model, self._runner)
        # The runner cannot record all failures: a turn may also fail outside of `answer`, for example by a timeout.
        self.app.turns.services.failed = self._seen.failed
        self._http = httpx.AsyncClient(transport=InProcess(self.app))
        self._client = WebhookClient(f"http://agent.test/api/agents/{self.agent.name}", SECRET, http=self._http)

    def _runner(self, voice: VoiceAgent[Any, Any]) -> RecordingRunner:
        # Most tests hand no call over, so they must not wait for the connections of the other agents.
        connect = None if voice is self.agent else lambda: self.app.open_connections(voice.name)
        return RecordingRunner(voice, self._mocks, self._seen, connect)

    # --- actions of the caller

    async def greet(self, **fields: Json) -> HeardTurn:
        """Connect and return the greeting."""
        return await self._turn(events.session_start(**fields), "")

    async def say(self, text: str, **fields: Json) -> HeardTurn:
        """Say something and return the reply. `fields` are additional fields of the event, such as `metadata`."""
        last = self.turns[-1] if self.turns else None
        if last is not None and last.interrupted and "interruption_context" not in fields:
            fields["interruption_context"] = events.interruption(last.heard, last.turn_id)
        return await self._turn(events.message(text, **fields), text)

    def interrupt(
        self,
        *,
        after: int | float | str | None = None,
        in_tool: bool = False,
        playing: bool = False,
        required: bool = True,
    ) -> None:
        """Interrupt the next reply after some words (int), after some seconds (float), or after a text was heard (str).

        The seconds count from the request, so they may pass before the agent says anything. With `in_tool`, the caller
        disconnects as soon as a tool starts. Without `after` and `in_tool`, the caller disconnects before the first
        word. With `playing`, the agent completes its reply and the caller interrupts the playback: the agent learns
        this only from the next message. If the reply ends before the interruption, `say` or `greet` raises CallError;
        with `required=False`, it returns the complete turn instead. Raises ValueError for `playing` with seconds.
        """
        self._cut = Cut(after, in_tool=in_tool, playing=playing, required=required)

    async def resend(self) -> HeardTurn:
        """Deliver the last turn's event again, as the platform may do. The answer is returned, not added to `turns`."""
        if not self.turns:
            raise self._error("resend() needs a turn; say something first")
        event = next(event for event in reversed(self.sent) if event.get("turn_id") == self.turns[-1].turn_id)
        turn = HeardTurn(self.turns[-1].turn_id, self.turns[-1].text, 0)
        await self._deliver(event, turn, None)
        return turn

    async def send_data(self, content: Json, **fields: Json) -> Json:
        """Send data from the caller's page, and return the JSON response."""
        return await self._acknowledged(events.data(content, **fields))

    async def update(self, **fields: Json) -> Json:
        """Send a `session.update`, for example about a finished recording, and return the JSON response."""
        return await self._acknowledged(events.session_update(**fields))

    async def end(self, **fields: Json) -> Json:
        """Hang up, wait until the agent's `on_session_end` hooks have finished, and return the JSON response.

        Raises CallError if a hook fails or takes longer than 10 seconds.
        """
        said = [(role, text) for turn in self.turns for role, text in (("user", turn.text), ("assistant", turn.heard))]
        event = events.session_end([entry for entry in said if entry[1]]) | fields
        answer = await self._acknowledged({name: value for name, value in event.items() if value is not None})
        await self._session_ended()
        return answer

    def reconnect(self) -> None:
        """Continue the conversation in a new session."""
        self._sessions += 1
        self.session_id = f"session-{self._sessions}"

    async def send(self, event: Mapping[str, Json]) -> Json:
        """Deliver any event. Return the JSON response, or the payloads of all frames if the response is a stream."""
        async with self._client.deliver(self._with_ids(event)) as answer:
            if answer.is_stream:
                return [frame.payload async for frame in answer.frames()]
            return await answer.json()

    # --- setup and inspection for the test

    def mock(
        self,
        tool: str,
        function: Callable[..., Any] | None = None,
        **answer: Any,
    ) -> None:
        """Mock a tool: `mock("weather", returns="sunny")`, `mock("weather", raises=error)`, `mock("weather", fake)`.

        `fake` is a function that takes the tool's arguments. The tool may also belong to one of the agents in `others`.
        Raises DeveloperError if no agent has a tool of this name, because a mock with a misspelt name would let the
        real tool run. The name is not checked if the tools are unknown before the call: if the agent has no toolsets,
        because it answers with a hook, or if a toolset lists its tools only at run time.
        """
        check_tool(self.agent, tool, self.app.agents.values())
        self._mocks.set(tool, function, **answer)

    def use_model(self, model: Any) -> None:
        """From the next turn on, use this model, such as `scripted(...)`."""
        self.agent.use_model(model)

    async def state(self, agent: str | None = None) -> dict[str, Json]:
        """Return the conversation's state from the journal.

        Each agent has its own state. `agent` names an agent that took the call over. By default, return the state of
        the agent that was called.
        """
        scope = scope_of(agent or self.agent.name, self.agent.name)
        return own_fields((await self.app.store.conversation(self.conversation_id)).state, scope)

    async def records(self) -> list[TurnRecord]:
        """Return the conversation's records from the journal, oldest first."""
        return [record async for record in self.app.store.turns(conversation_id=self.conversation_id)]

    @property
    def transcript(self) -> str:
        """The conversation so far, as readable text."""
        return transcript(self.turns)

    async def close(self) -> None:
        """Stop the server and finish its running work. A journal in memory stays readable."""
        await self._http.aclose()
        await self.app.stop()

    # --- internals

    async def _turn(self, event: dict[str, Json], text: str) -> HeardTurn:
        event = self._with_ids(event)
        turn = HeardTurn(str(event["turn_id"]), text, 0)
        self.turns.append(turn)
        self.sent.append(event)
        cut, self._cut = self._cut, None
        await self._deliver(event, turn, cut)
        self._raise_what_no_caller_causes(turn)
        return turn

    async def _deliver(self, event: dict[str, Json], turn: HeardTurn, cut: Cut | None) -> None:
        try:
            if cut is not None and cut.point is Point.AT_ONCE:
                await self._leave_at_once(event)
            elif cut is not None and cut.point is Point.TOOL:
                self._seen.tool_started.clear()
                await self._leave_after(self._seen.tool_started.wait(), event, turn, cut)
            elif cut is not None and cut.seconds is not None:
                await self._leave_after(self._seconds_of_turn(cut.seconds), event, turn, cut)
            else:
                async with self._client.deliver(event) as answer:
                    await self._listen(answer, turn, cut)
        except DeliveryError as error:
            raise self._error(str(error)) from error
        while self.app.turns.running.get(self.conversation_id) is not None:
            await asyncio.sleep(0.001)
        if cut is not None and not cut.required and not cut.came(turn.spoken):
            cut = None
        if cut is not None and not cut.came(turn.spoken):
            raise self._error(f"the caller did not interrupt, because {cut}; the reply was: {turn.spoken!r}")
        turn.interrupted = cut is not None
        turn.heard = turn.spoken if cut is None else cut.heard(turn.spoken)
        turn.record = await self.app.store.get(self.conversation_id, turn.turn_id)
        turn.error = self._seen.errors.get(turn.turn_id)

    async def _leave_at_once(self, event: dict[str, Json]) -> None:
        """Close the connection as soon as the turn has begun, before any of its speech is read."""
        async with asyncio.TaskGroup() as tasks:
            delivering = tasks.create_task(self._drop(event))
            while self.app.turns.running.get(self.conversation_id) is None and not delivering.done():
                await asyncio.sleep(0)
            delivering.cancel()

    async def _leave_after(
        self, cue: Coroutine[Any, Any, Any], event: dict[str, Json], turn: HeardTurn, cut: Cut
    ) -> None:
        """Close the connection as soon as `cue` returns: when a tool has started, or the seconds of the cut are over.

        A very fast tool may have finished by then.
        """
        listening = asyncio.create_task(self._hear_all(event, turn))
        waiting = asyncio.create_task(cue)
        try:
            await asyncio.wait((listening, waiting), return_when=asyncio.FIRST_COMPLETED)
            cut.in_time = not listening.done()
        finally:
            listening.cancel()
            waiting.cancel()
            _, heard = await asyncio.gather(waiting, listening, return_exceptions=True)
        if isinstance(heard, Exception):
            raise heard

    async def _seconds_of_turn(self, seconds: float) -> None:
        """Wait `seconds`, and then until the turn has begun.

        If the caller interrupted before the turn began, the journal might not contain the turn.
        """
        await asyncio.sleep(seconds)
        while self.app.turns.running.get(self.conversation_id) is None:
            await asyncio.sleep(0.001)

    async def _hear_all(self, event: dict[str, Json], turn: HeardTurn) -> None:
        async with self._client.deliver(event) as answer:
            await self._listen(answer, turn, None)

    async def _drop(self, event: dict[str, Json]) -> None:
        async with self._client.deliver(event) as answer:
            async for _ in answer.frames():
                return

    async def _listen(self, answer: Answer, turn: HeardTurn, cut: Cut | None) -> None:
        turn.status = answer.status
        if not answer.is_stream:
            body = (await answer.body())[:500].decode(errors="replace")
            raise self._error(f"expected a stream from the agent's server, got status {answer.status}: {body}")
        async for frame in answer.frames():
            turn.frames.append(frame)
            if cut is not None and cut.reached(turn.spoken):
                return

    async def _acknowledged(self, event: dict[str, Json]) -> Json:
        event = self._with_ids(event)
        self.sent.append(event)
        async with self._client.deliver(event) as answer:
            if not answer.ok:
                raise self._error(f"{event['type']} was answered with status {answer.status}: {await answer.body()!r}")
            return await answer.json()

    def _with_ids(self, event: Mapping[str, Json]) -> dict[str, Json]:
        """Return the event with the metadata and the ids of this call.

        Only the default ids of `events.py` are replaced. The test has set all other ids, so they are not changed.
        """
        own: dict[str, Json] = {}
        if event.get("conversation_id", events.CONVERSATION_ID) == events.CONVERSATION_ID:
            own["conversation_id"] = self.conversation_id
        if event.get("session_id", events.SESSION_ID) == events.SESSION_ID:
            own["session_id"] = self.session_id
        if self._metadata:
            own["metadata"] = self._metadata | (event.get("metadata") or {})
        if event.get("turn_id") == events.TURN_ID:
            own["turn_id"] = f"turn-{self._turn_ids}"
            self._turn_ids += 1
        return dict(event) | own

    def _raise_what_no_caller_causes(self, turn: HeardTurn) -> None:
        """Raise an error if a scripted answer is missing or a real model was called.

        The agent only apologizes to the caller for these errors, so the test might not notice them.
        """
        if isinstance(turn.error, ScriptedModelError):
            raise turn.error
        if isinstance(turn.error, RuntimeError) and str(turn.error).startswith(BLOCKED):
            raise self._error(
                f"agent {self.agent.name!r} called a real model, which tests must not do. Give it model=scripted(...) or an "
                "@agent.offline script, or mark the test with @pytest.mark.real_model"
            ) from turn.error

    async def _session_ended(self) -> None:
        deadline = time.monotonic() + END_SECONDS
        while self.session_id not in self._seen.ended:
            if time.monotonic() > deadline:
                raise self._error(f"the on_session_end hooks did not finish within {END_SECONDS:g} s")
            await asyncio.sleep(0.002)
        error = self._seen.ended[self.session_id]
        if error is not None:
            raise self._error(f"an on_session_end hook failed: {type(error).__name__}: {error}") from error

    def _error(self, message: str) -> CallError:
        return CallError(f"{message}.\n\nThe conversation so far:\n{self.transcript or '(nothing was said)'}")


@asynccontextmanager
async def open_call(agent: VoiceAgent[Any, Any] | Any, **options: Any) -> AsyncIterator[AgentCall]:
    """Open a call for the duration of a block. `options` are arguments of AgentCall."""
    call = AgentCall(agent, **options)
    try:
        yield call
    finally:
        await call.close()


def _served(
    agent: Any, agents: Path | str | Found | None, others: Sequence[VoiceAgent[Any, Any]] | None
) -> list[VoiceAgent[Any, Any]]:
    """Return the agents of the call's server. The first is the agent that is called."""
    if not isinstance(agent, str) or ":" in agent:
        return [_voice(agent), *(others or ())]
    found = agents if isinstance(agents, Found) else discover(agents)
    voice = found.get(agent)
    return [voice, *(found.beside(voice.name) if others is None else others)]


def _voice(agent: Any) -> VoiceAgent[Any, Any]:
    if isinstance(agent, str):
        return find_by_import(agent)
    return agent if isinstance(agent, VoiceAgent) else VoiceAgent(getattr(agent, "name", None) or "agent", agent)


def _app(
    voices: Sequence[VoiceAgent[Any, Any]],
    given: Mapping[str, Any] | None,
    store: Store | None,
    model: Any,
    runner: Any,
) -> LayerCode:
    voice = voices[0]
    own = {"store": "memory", "default_model": "offline", "fallback_models": (), "log_dir": ""}
    values = {**own, **(given or {}), "webhook_secret": SECRET}
    settings = load_settings(values, env_file=None, toml_file=None)
    named = model if isinstance(model, str) else ("offline" if model is None and voice.script else None)
    app = LayerCode(*voices, settings=settings, store=store, model=named, offline_without_key=True, runner=runner)
    if model is not None and not isinstance(model, str):
        voice.use_model(model)
    return app

"""One session. It connects the turn manager to a client, a backend, a voice and a clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from ..settings import make_folder
from .agents import Grant
from .deliveries import Deliveries
from .faults import Faults
from .feed import Feed
from .hearing import Hearing, Listening, NoHearing
from .protocol import (
    Abort,
    ClientAudio,
    Deliver,
    DeliverData,
    Disconnected,
    EndSession,
    Input,
    Notify,
    Output,
    Speak,
    Spoken,
    Tick,
    ToClient,
    UserStarted,
    UserStopped,
    parse_client,
)
from .recording import CallerAudio, render
from .report import Report
from .speech import Voice
from .transcription import Transcriber
from .turn import AssistantTurn
from .turns import TurnManager
from .webhooks import WebhookClient

Send: TypeAlias = Callable[[dict[str, Any]], None]
_SETTLE = 10.0
"""Maximum seconds to wait for running webhooks at the end of a session."""


class Session:
    """One connection of a conversation. `send` sends a message to the client; `hang_up` closes the connection."""

    def __init__(
        self,
        session_id: str,
        grant: Grant,
        *,
        agent: WebhookClient,
        session: WebhookClient,
        voice: Voice,
        feed: Feed,
        faults: Faults,
        new_id: Callable[[], str],
        send: Send,
        hang_up: Callable[[str], None],
        recording: Path | None = None,
        recording_url: str = "",
        ip_address: str = "127.0.0.1",
        transcriber: Transcriber | None = None,
    ) -> None:
        self.id, self.grant = session_id, grant
        self.recording = recording
        self.report = Report(grant, session_id, recorded=recording is not None, ip_address=ip_address)
        self._recording_url = recording_url
        self._send, self._hang_up = send, hang_up
        self._voice, self._feed = voice, feed
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()
        self._caller = CallerAudio()
        self._timer: asyncio.TimerHandle | None = None
        self._to_speak: asyncio.Queue[Speak] = asyncio.Queue()
        self._speaker: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()
        self._announced = 0
        self._turns = TurnManager(
            new_id=new_id,
            trigger=grant.trigger,
            can_interrupt=grant.can_interrupt,
            style=grant.agent.style,
            session_timeout=grant.agent.session_timeout,
            faults=faults,
        )
        self._deliveries = Deliveries(
            agent=agent,
            session=session,
            headers=dict(grant.headers),
            faults=faults,
            report=self._take,
            watch=self._watch,
            remedies=grant.agent.remedies,
        )
        self._hearing = self._listen(transcriber, new_id)
        self._watch("session", state="opened")

    @property
    def conversation_id(self) -> str:
        """The id of the session's conversation."""
        return self.grant.conversation_id

    @property
    def turns(self) -> list[AssistantTurn]:
        """Every turn so far, with what was said and what was heard."""
        return self._turns.turns

    def receive(self, message: Mapping[str, Any]) -> None:
        """Process a message from the client."""
        if message.get("type") != "client.audio":
            self._watch("client", message=dict(message))
        if (what := parse_client(message)) is not None:
            self._take(what)
        if isinstance(what, UserStarted | UserStopped) and not self._turns.over:
            self._hearing.signal(what)

    def _listen(self, transcriber: Transcriber | None, new_id: Callable[[], str]) -> Hearing:
        def send(message: dict[str, Any]) -> None:
            self._do(ToClient(message))

        def notice(text: str) -> None:
            self._watch("notice", text=text)

        if transcriber is None:
            return NoHearing(new_id=new_id, send=send, notice=notice)
        trigger = self.grant.trigger
        return Listening(transcriber, trigger=trigger, new_id=new_id, send=send, take=self._take, notice=notice)

    def describe(self) -> dict[str, Any]:
        """Return the session as the REST API shows it."""
        return self.report.describe(self.turns, self._wall)

    async def idle(self) -> None:
        """Wait until the agent has finished speaking and its audio has been played."""
        await self._idle.wait()

    async def close(self) -> None:
        """End the session: stop the turn, send `session.end` to the backend, and write the recording.

        Nothing is sent or written for a client that was never ready. A second call does nothing.
        """
        if self._turns.over:
            return
        try:
            await self._end()
        finally:
            # The session stays available to the REST API, which does not need its audio.
            self._caller.forget()
            for turn in self.turns:
                turn.playback.forget()

    async def _end(self) -> None:
        self._take(Disconnected())
        await self._hearing.close()
        self.report.end()
        if self._timer is not None:
            self._timer.cancel()
        if self._speaker is not None:
            self._speaker.cancel()
            await asyncio.wait([self._speaker])
        await self._deliveries.settle(within=_SETTLE)
        self._watch("session", state="closed")
        if self._turns.started:
            await self._say_how_it_went()

    async def _say_how_it_went(self) -> None:
        event = self.report.session_end(self.turns, self._wall, self._caller.seconds)
        await self._deliveries.acknowledge(self._event(event))
        if self.recording is not None:
            await self._deliveries.acknowledge(self._event(await self._record(self.recording)))

    async def _record(self, path: Path) -> dict[str, Any]:
        pieces = [(at - self._began, pcm) for turn in self.turns for at, pcm in turn.playback.pieces]
        caller = [(at - self._began, bytes(pcm)) for at, pcm in self._caller.pieces]
        seconds = self.report.seconds
        try:
            await asyncio.to_thread(_write, path, caller, pieces, seconds)
        except OSError as error:
            return self.report.recording_failed(f"{type(error).__name__}: {error.strerror}")
        return self.report.recording_completed(self._recording_url, seconds)

    def _take(self, what: Input) -> None:
        now = self._clock()
        if isinstance(what, ClientAudio) and (pcm := self._caller.add(what.content, now)) and not self._turns.over:
            self._hearing.audio(pcm)
        for output in self._turns.handle(what, now):
            self._do(output)
        self._announce()
        self._arm()

    def _do(self, output: Output) -> None:
        match output:
            case ToClient(message):
                self._watch("server", message=_without_audio(message))
                self._send(message)
            case Deliver(event=event):
                self._deliveries.stream(output, self._event(event))
            case DeliverData(event=event):
                self._deliveries.data(output, self._event(event))
            case Notify(event):
                self._deliveries.notify(self._event(event))
            case Abort(turn_id):
                self._deliveries.abort(turn_id)
            case Speak():
                self._speak(output)
            case EndSession(reason):
                self._hang_up(reason)

    def _speak(self, what: Speak) -> None:
        self._to_speak.put_nowait(what)
        if self._speaker is None:
            self._speaker = asyncio.create_task(self._keep_speaking())

    async def _keep_speaking(self) -> None:
        while True:
            what = await self._to_speak.get()
            current = self._turns.current
            if current is not None and current.id == what.turn_id:
                self._take(Spoken(what.turn_id, what.text, await self._voice.speak(what.text)))

    def _announce(self) -> None:
        """Publish turns that are over, and update the event that `idle` waits for."""
        while self._announced < len(self.turns) and (turn := self.turns[self._announced]).over:
            self._announced += 1
            cut = {"heard": turn.heard, "words_heard": turn.words_heard, "interrupted": turn.interrupted}
            self._watch("turn", turn_id=turn.id, user=turn.said_by_user, text=turn.text, error=turn.error, **cut)
        busy = self._turns.current is not None and not self._turns.over
        (self._idle.clear if busy or not self._turns.started else self._idle.set)()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        at = self._turns.wake_at
        self._timer = None if at is None else asyncio.get_running_loop().call_at(at, self._take, Tick())

    def _event(self, event: dict[str, Any]) -> dict[str, Any]:
        return {"type": event["type"], "session_id": self.id, **self.grant.common, **event}

    def _wall(self, at: float) -> float:
        return self.report.started_at + (at - self._began)

    def _watch(self, kind: str, **what: Any) -> None:
        ids = {"session_id": self.id, "conversation_id": self.conversation_id, "agent_id": self.grant.agent.id}
        self._feed.publish({"kind": kind, "at": time.time(), **ids, **what})


def _without_audio(message: dict[str, Any]) -> dict[str, Any]:
    if message["type"] != "response.audio":
        return message
    return {**message, "content": f"<{len(message['content']) * 3 // 4} bytes>"}


def _write(path: Path, caller: list[tuple[float, bytes]], agent: list[tuple[float, bytes]], seconds: float) -> None:
    make_folder(path.parent)
    path.write_bytes(render(caller, agent, seconds))

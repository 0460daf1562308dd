"""Turn-taking in one session, as a state machine without IO or clock.

`handle(input, now)` takes an input from a client or a backend and returns the platform's outputs. `wake_at` is the time
of the next `Tick`. Times are in seconds, all from the same clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, assert_never

from ..journal.record import DATA
from .faults import Faults
from .protocol import (
    NO_TEXT,
    Accepted,
    BackendFrame,
    ClientAudio,
    ClientData,
    DataAnswer,
    Deliver,
    DeliverData,
    Disconnected,
    EndSession,
    Input,
    Notify,
    Output,
    Ready,
    ReplayFinished,
    Spoken,
    StreamClosed,
    Style,
    Text,
    Tick,
    ToClient,
    Trigger,
    UserStarted,
    UserStopped,
)
from .turn import AssistantTurn

GAP = 0.06
"""Seconds of silence between an interruption and new audio; without it the official clients truncate the new audio."""

_OfClient: TypeAlias = Ready | Text | ClientData | UserStarted | UserStopped | ReplayFinished
_OfTurn: TypeAlias = Accepted | BackendFrame | StreamClosed | Spoken


class TurnManager:
    """The turns of one session. `new_id` makes turn ids.

    The session ends after both sides were silent for `session_timeout` seconds.
    """

    def __init__(
        self,
        *,
        new_id: Callable[[], str],
        trigger: Trigger = "automatic",
        can_interrupt: bool = True,
        style: Style = "session.start",
        session_timeout: float | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.turns: list[AssistantTurn] = []
        self.started = False
        """Whether the greeting was requested."""
        self.over = False
        self._new_id = new_id
        # A push-to-talk client stops its playback whenever the button is pressed, so a press must always interrupt.
        self._can_interrupt = can_interrupt or trigger == "push_to_talk"
        self._trigger = trigger
        self._style = style
        self._timeout = session_timeout
        self._faults = faults or Faults()
        self._current: AssistantTurn | None = None
        self._waiting: deque[Text] = deque()
        self._context: dict[str, Any] | None = None
        self._user_speaks = False
        self._ending = False
        self._quiet_until = 0.0
        self._interrupts_at: float | None = None
        self._active_at = 0.0
        self._out: list[Output] = []

    @property
    def current(self) -> AssistantTurn | None:
        """The turn whose stream runs or whose audio still plays."""
        return self._current

    @property
    def wake_at(self) -> float | None:
        """The time at which the next `Tick` is due; None if no `Tick` is due."""
        if self.over or self._ending:
            return None
        own = self._current.wake_at(self._quiet_until) if self._current else None
        return min((time for time in (own, self._interrupts_at, self._idle_at()) if time is not None), default=None)

    def handle(self, what: Input, now: float) -> list[Output]:
        """Process an input, and return the outputs in order."""
        self._out = []
        if isinstance(what, Disconnected):
            self._leave(now)
        elif not (self.over or self._ending):
            self._advance(now)
            self._dispatch(what, now)
            self._advance(now)
        return self._out

    def _dispatch(self, what: Input, now: float) -> None:
        match what:
            case Ready() | Text() | ClientData() | UserStarted() | UserStopped() | ReplayFinished():
                self._from_client(what, now)
            case Accepted() | BackendFrame() | StreamClosed() | Spoken():
                # Late results of an interrupted turn are dropped.
                if self._current is not None and self._current.id == what.turn_id:
                    self._from_turn(self._current, what, now)
            case DataAnswer(turn_id, content):
                if content is not None:
                    self._to_client(DATA, content=content, turn_id=turn_id)
            case Tick() | ClientAudio() | Disconnected():
                pass
            case _:
                assert_never(what)

    def _from_client(self, what: _OfClient, now: float) -> None:
        match what:
            case Ready():
                self._start(now)
            case Text():
                self._say(what, now)
            case ClientData(data):
                self._send_data(data, now)
            case UserStarted(vad):
                self._user_started(now, vad=vad)
            case UserStopped(vad):
                self._user_stopped(now, vad=vad)
            case ReplayFinished(turn_id):
                # Ignore a message without a turn id, because it may be about an interrupted turn. The computed end of
                # playback is then kept.
                if self._current is not None and self._current.id == turn_id:
                    self._current.playback.finish(now)
            case _:
                assert_never(what)

    def _from_turn(self, turn: AssistantTurn, what: _OfTurn, now: float) -> None:
        match what:
            case Accepted():
                self._out += turn.accept()
                if (after := self._faults.interrupt_after_ms) is not None:
                    self._interrupts_at = now + after / 1000
            case BackendFrame(type=kind, content=content):
                self._out += turn.take(kind, content, now)
            case StreamClosed(error=error):
                self._out += turn.end_stream(error)
            case Spoken(text=text, speech=speech):
                turn.spoken(text, speech)
            case _:
                assert_never(what)

    def _start(self, now: float) -> None:
        if self.started:
            return
        self.started = True
        if self._style == "welcome":
            self._out.append(Notify({"type": "session.start"} | NO_TEXT))
        turn = self._new_turn(None, now)
        self._out.append(Deliver(turn.id, {"type": self._style, "turn_id": turn.id} | NO_TEXT))

    def _say(self, text: Text, now: float) -> None:
        if not text.content.strip():
            return
        self._start(now)
        self._user_speaks = False
        if self._current is not None and not self._can_interrupt:
            self._waiting.append(text)
            return
        self._interrupt(now)
        self._message(text, now)

    def _message(self, text: Text, now: float) -> None:
        if self._ending:
            return
        content = text.content
        turn = self._new_turn(content, now, text.turn_id)
        self._to_client("user.transcript", content=content, turn_id=f"user-{turn.id}")
        event: dict[str, Any] = {"type": "message", "turn_id": turn.id, "text": content}
        if self._context is not None:
            event["interruption_context"], self._context = self._context, None
        self._out.append(Deliver(turn.id, event))

    def _new_turn(self, said: str | None, now: float, turn_id: str | None = None) -> AssistantTurn:
        self._current = AssistantTurn(turn_id or self._new_id(), now, said)
        self.turns.append(self._current)
        return self._current

    def _send_data(self, data: Any, now: float) -> None:
        self._active_at = now
        turn_id = self.turns[-1].id if self.turns else self._new_id()
        self._out.append(DeliverData(turn_id, {"type": "data", "turn_id": turn_id, "data": data}))

    def _user_started(self, now: float, *, vad: bool) -> None:
        if (vad and self._trigger == "push_to_talk") or (self._current is not None and not self._can_interrupt):
            return
        self._user_speaks = True
        self._interrupt(now)
        if vad:
            self._to_client("turn.start", role="user")

    def _user_stopped(self, now: float, *, vad: bool) -> None:
        if not self._user_speaks:
            return
        self._user_speaks = False
        self._active_at = now
        if vad:
            self._to_client("turn.end", role="user")

    def _interrupt(self, now: float) -> None:
        turn = self._current
        if turn is None:
            return
        self._cut(turn, "user", now)
        self._quiet_until = now + GAP
        self._context = {
            "previous_turn_interrupted": True,
            "words_heard": turn.words_heard,
            "text_heard": turn.heard,
            "assistant_turn_id": turn.id,
        }
        self._to_client("turn.end", role="assistant", turn_id=turn.id)

    def _cut(self, turn: AssistantTurn, by: Literal["user", "disconnect"], now: float) -> None:
        self._out += turn.cut(by, now)
        self._turn_over(turn, now)

    def _turn_over(self, turn: AssistantTurn, now: float) -> None:
        self._current = None
        self._interrupts_at = None
        self._active_at = now
        if turn.hangup and not self._ending:
            self._end("hangup")

    def _end(self, reason: Literal["hangup", "timeout"]) -> None:
        self._ending = True
        self._out.append(EndSession(reason))

    def _leave(self, now: float) -> None:
        if not self.over and self._current is not None:
            self._cut(self._current, "disconnect", now)
        self.over = True

    def _advance(self, now: float) -> None:
        if self._interrupts_at is not None and now >= self._interrupts_at:
            self._interrupts_at = None
            # Interrupt as the client would: by detected speech, or by the push-to-talk button.
            vad = self._trigger == "automatic"
            self._user_started(now, vad=vad)
            self._user_stopped(now, vad=vad)
        if (turn := self._current) is not None:
            self._out += turn.advance(now, quiet_until=self._quiet_until, new_id=self._new_id)
            if turn.over:
                self._turn_over(turn, now)
        if self._current is None and self._waiting:
            self._message(self._waiting.popleft(), now)
        if (idle := self._idle_at()) is not None and now >= idle:
            self._end("timeout")

    def _idle_at(self) -> float | None:
        quiet = self.started and self._current is None and not self._user_speaks and not self._ending
        return self._active_at + self._timeout if self._timeout and quiet else None

    def _to_client(self, kind: str, **fields: Any) -> None:
        self._out.append(ToClient({"type": kind, **fields}))

"""The turn manager accepts events of a client, a backend and timers in any order."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from layercode_app.emulator.protocol import (
    Abort,
    Accepted,
    BackendFrame,
    ClientData,
    Deliver,
    DeliverData,
    Disconnected,
    EndSession,
    Input,
    Notify,
    Output,
    Ready,
    ReplayFinished,
    Speak,
    Spoken,
    StreamClosed,
    Text,
    Tick,
    ToClient,
    UserStarted,
    UserStopped,
)
from layercode_app.emulator.speech import Speech, timed
from layercode_app.emulator.turn import AssistantTurn
from layercode_app.emulator.turns import GAP, TurnManager

from ..thoroughness import times

PIECES = ["Hello", " there. ", "word ", "\n\n", "a b c d e f. ", "…", " ", "3.50", "好。"]
FRAMES = ["response.tts", "response.tts", "response.tts", "response.data", "response.end", "response.error", "strange"]
CLIENT = [
    Ready(),
    Text("so"),
    Text(" "),
    ClientData({"a": 1}),
    UserStarted(vad=True),
    UserStopped(vad=True),
    UserStarted(vad=False),
    UserStopped(vad=False),
    ReplayFinished(None),
]


def speech(text: str) -> Speech:
    """Return speech that lasts a tenth of a second for every word of the text."""
    return timed(" ".join("word" for _ in text.split()), bytes(3200 * len(text.split())))


class AnyOrder(RuleBasedStateMachine):
    """A turn manager, and an independent record of its commands and of its messages to the client."""

    @initialize(
        trigger=st.sampled_from(["automatic", "push_to_talk"]),
        can_interrupt=st.booleans(),
        style=st.sampled_from(["session.start", "welcome"]),
        timeout=st.sampled_from([None, None, 20.0]),
    )
    def begin(self, trigger: Any, can_interrupt: bool, style: Any, timeout: float | None) -> None:
        ids = itertools.count(1)
        self.options = (trigger, can_interrupt)
        self.manager = TurnManager(
            new_id=lambda: f"t{next(ids)}",
            trigger=trigger,
            can_interrupt=can_interrupt,
            style=style,
            session_timeout=timeout,
        )
        self.now = 10.0
        self.said: list[str] = []
        self.open: list[str] = []  # webhooks whose connection is up
        self.to_speak: list[Speak] = []
        self.order: list[str] = []  # turns in the order they were asked for
        self.messages: list[dict[str, Any]] = []
        self.sent_at: list[float] = []
        self.events: list[dict[str, Any]] = []
        self.ended = 0
        self.left = False
        self.last_cut = 0.0

    # What may happen.

    @rule(what=st.sampled_from(CLIENT))
    def client(self, what: Input) -> None:
        if isinstance(what, Text) and what.content.strip():
            what = Text(f"so {len(self.said)}")
            if not (self.left or self.ended):
                self.said.append(what.content)
        self.do(what)

    @rule(index=st.integers(0, 3))
    def played(self, index: int) -> None:
        if index < len(self.order):
            self.do(ReplayFinished(self.order[-1 - index]))

    @rule(index=st.integers(0, 2))
    def accepted(self, index: int) -> None:
        if index < len(self.order):
            self.do(Accepted(self.order[-1 - index]))

    @rule(index=st.sampled_from([0, 0, 0, 1, 2]), kind=st.sampled_from(FRAMES), content=st.sampled_from(PIECES))
    def frame(self, index: int, kind: str, content: str) -> None:
        if index < len(self.order):
            turn_id = self.order[-1 - index]
            if kind == "response.end":
                self.open = [one for one in self.open if one != turn_id]
            self.do(BackendFrame(turn_id, kind, content))

    @rule(index=st.integers(0, 1), error=st.sampled_from([None, "dead"]))
    def closed(self, index: int, error: str | None) -> None:
        if index < len(self.order):
            turn_id = self.order[-1 - index]
            self.open = [one for one in self.open if one != turn_id]
            self.do(StreamClosed(turn_id, error))

    @rule(count=st.integers(1, 5))
    def voice(self, count: int) -> None:
        made, self.to_speak = self.to_speak[:count], self.to_speak[count:]
        for what in made:
            self.do(Spoken(what.turn_id, what.text, speech(what.text)))

    @rule(seconds=st.sampled_from([0.01, 0.07, 0.1, 0.3, 0.5, 5.0]))
    def time(self, seconds: float) -> None:
        self.now += seconds
        self.do(Tick())

    @rule()
    def hang_up(self) -> None:
        if len(self.order) > 3:
            self.do(Disconnected())
            self.left = True

    # What is then seen.

    def do(self, what: Input) -> None:
        for output in self.manager.handle(what, self.now):
            self.see(output)

    def see(self, output: Output) -> None:
        match output:
            case Deliver(turn_id, event):
                assert not self.open, "one stream at a time"
                self.open.append(turn_id)
                self.order.append(turn_id)
                self.see_event(event)
            case Abort(turn_id):
                # The backend may have closed the stream first; then there is nothing to abort.
                self.open = [one for one in self.open if one != turn_id]
            case Speak():
                assert output.text.strip()
                self.to_speak.append(output)
            case ToClient(message):
                self.see_message(message)
            case EndSession():
                self.ended += 1
            case Notify() | DeliverData():
                pass

    def see_event(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        before = self.turn(self.order[-2]) if len(self.order) > 1 else None
        context = event.get("interruption_context")
        if event["type"] != "message":
            assert len(self.order) == 1
        elif before is not None and before.interrupted == "user":
            assert context is not None
            assert context["assistant_turn_id"] == before.id
            assert context["text_heard"] == before.heard
            assert context["words_heard"] == len(context["text_heard"].split())
        else:
            assert context is None

    def see_message(self, message: dict[str, Any]) -> None:
        assert not self.left
        kind, turn_id = message["type"], message.get("turn_id")
        if kind in {"response.text", "response.audio", "response.end"}:
            assert turn_id == self.order[-1], "never anything of an old turn"
            assert self.turn(turn_id).interrupted is None
            ended = [m for m in self.messages if m["type"] == "response.end" and m["turn_id"] == turn_id]
            assert not ended, "nothing after the end"
        if kind == "response.audio":
            interrupted = [turn for turn in self.manager.turns if turn.interrupted == "user"]
            assert not interrupted or self.now >= self.last_cut + GAP
        if kind == "turn.end" and message["role"] == "assistant":
            self.last_cut = self.now
        self.messages.append(message)

    def turn(self, turn_id: str) -> AssistantTurn:
        return next(turn for turn in self.manager.turns if turn.id == turn_id)

    @invariant()
    def what_was_heard_is_a_beginning_of_what_was_said(self) -> None:
        for turn in self.manager.turns:
            if turn.heard is not None:
                assert turn.text.startswith(turn.heard)
                assert turn.interrupted or turn.heard == turn.text
            assert turn.text.startswith(turn.playback.text)

    @invariant()
    def only_the_last_turn_is_not_over(self) -> None:
        assert all(turn.over for turn in self.manager.turns[:-1])
        assert self.ended <= 1

    @invariant()
    def no_words_of_the_caller_are_lost(self) -> None:
        texts = [event["text"] for event in self.events if event["type"] == "message"]
        assert texts == self.said[: len(texts)]
        if self.options[0] == "push_to_talk" or self.options[1]:
            assert texts == self.said

    def teardown(self) -> None:
        """Check that every turn ends, in whatever state the steps left the session.

        From now on, only three things happen: the backend closes its streams, the voice speaks, and time passes.
        """
        if not hasattr(self, "manager"):
            return
        for _ in range(200):
            while self.to_speak:
                self.voice(5)
            if self.open:
                self.closed(0, None)
            elif (at := self.manager.wake_at) is not None and not self.ended:
                self.now = max(at, self.now + 0.001)
                self.do(Tick())
            elif not self.to_speak:
                break
        assert not self.open
        assert all(turn.over for turn in self.manager.turns) or self.ended
        if not (self.left or self.ended):
            assert [event["text"] for event in self.events if event["type"] == "message"] == self.said


AnyOrder.TestCase.settings = settings(max_examples=times(200), stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase

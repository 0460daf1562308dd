"""The turn manager by itself, without a clock and without IO."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from layercode_app.emulator.faults import Faults
from layercode_app.emulator.protocol import (
    Abort,
    Accepted,
    BackendFrame,
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
    Speak,
    Spoken,
    StreamClosed,
    Text,
    Tick,
    ToClient,
    UserStarted,
    UserStopped,
)
from layercode_app.emulator.speech import RATE, timed
from layercode_app.emulator.turns import GAP, TurnManager

SECONDS_PER_WORD = 0.5
DOWN, UP = UserStarted(vad=False), UserStopped(vad=False)


class Table:
    """A turn manager, with a caller, a backend and a voice that the test plays. Every word lasts half a second."""

    def __init__(self, **options: Any) -> None:
        ids = itertools.count(1)
        self.manager = TurnManager(new_id=lambda: f"t{next(ids)}", **options)
        self.now = 100.0
        self.voice = True

    def do(self, *inputs: Input) -> list[Output]:
        out: list[Output] = []
        for what in inputs:
            new = self.manager.handle(what, self.now)
            out += new
            if self.voice:
                out += self.do(*(Spoken(o.turn_id, o.text, speech(o.text)) for o in new if isinstance(o, Speak)))
        return out

    def wait(self, seconds: float) -> list[Output]:
        """Let time pass, with a tick whenever the manager asked for one."""
        end, out = self.now + seconds, []
        while (at := self.manager.wake_at) is not None and at <= end:
            assert at >= self.now
            self.now = at
            out += self.do(Tick())
            assert self.manager.wake_at is None or self.manager.wake_at > at, "the manager asks to be woken for ever"
        self.now = end
        return out

    def reply(self, *pieces: str, end: bool = True) -> list[Output]:
        """Let the backend stream these pieces for the current turn. If `end` is false, the stream stays open."""
        turn = self.current.id
        out = self.do(Accepted(turn), *(BackendFrame(turn, "response.tts", piece) for piece in pieces))
        return out + (self.do(BackendFrame(turn, "response.end"), StreamClosed(turn)) if end else [])

    @property
    def current(self) -> Any:
        assert self.manager.current is not None
        return self.manager.current


def speech(text: str) -> Any:
    words = len(text.split())
    return timed(" ".join("word" for _ in range(words)), bytes(int(2 * RATE * SECONDS_PER_WORD * words)))


def messages(out: list[Output], *kinds: str) -> list[dict[str, Any]]:
    return [o.message for o in out if isinstance(o, ToClient) and (not kinds or o.message["type"] in kinds)]


def kinds(out: list[Output]) -> list[str]:
    return [message["type"] for message in messages(out)]


def events(out: list[Output]) -> list[dict[str, Any]]:
    return [o.event for o in out if isinstance(o, Deliver | Notify | DeliverData)]


def greeted(**options: Any) -> Table:
    table = Table(**options)
    table.do(Ready())
    table.reply("Hello there.")
    table.wait(10)
    return table


def test_ready_asks_for_the_greeting_once() -> None:
    table = Table()
    assert table.do(Ready()) == [Deliver("t1", {"type": "session.start", "turn_id": "t1", "text": ""})]
    assert table.do(Ready()) == []


def test_the_newer_style_asks_with_welcome() -> None:
    table = Table(style="welcome")
    start, welcome = table.do(Ready())
    assert start == Notify({"type": "session.start", "text": ""})
    assert welcome == Deliver("t1", {"type": "welcome", "turn_id": "t1", "text": ""})


def test_a_turn_reaches_the_client_in_the_order_that_works() -> None:
    table = greeted()
    first = table.do(Text("Two buns, please"))
    turn = table.current.id
    assert messages(first) == [
        {"type": "user.transcript", "content": "Two buns, please", "turn_id": f"user-{turn}"},
    ]
    assert first[-1] == Deliver(turn, {"type": "message", "turn_id": turn, "text": "Two buns, please"})
    data = BackendFrame(turn, "response.data", {"basket": 2})
    out = table.do(
        Accepted(turn), data, *(BackendFrame(turn, "response.tts", p) for p in ("Two ", "buns. ", "It is 3.50."))
    )
    out += table.do(BackendFrame(turn, "response.end"))
    assert messages(out)[:2] == [
        {"type": "turn.start", "role": "assistant", "turn_id": turn},
        {"type": "response.data", "content": {"basket": 2}, "turn_id": turn},
    ]
    assert kinds(out)[2:5] == ["response.text", "response.text", "response.audio"]
    assert kinds(out)[-2:] == ["response.audio", "response.end"]
    assert [m["content"] for m in messages(out, "response.text")] == ["Two ", "buns. ", "It is 3.50."]
    assert all(m["turn_id"] == turn for m in messages(out))


def test_segments_are_spoken_as_their_sentences_end() -> None:
    table = greeted()
    table.do(Text("hi"))
    turn = table.current.id
    out = table.do(
        Accepted(turn), BackendFrame(turn, "response.tts", "One mo"), BackendFrame(turn, "response.tts", "re. An")
    )
    assert [o.text for o in out if isinstance(o, Speak)] == ["One more."]
    assert [o.text for o in table.wait(1) if isinstance(o, Speak)] == [" An"]
    out = table.do(BackendFrame(turn, "response.tts", "d two"), StreamClosed(turn))
    assert [o.text for o in out if isinstance(o, Speak)] == ["d two"]


@pytest.mark.parametrize("by", ["text", "speech", "button"])
def test_an_interruption_counts_the_words_whose_end_has_passed(by: str) -> None:
    table = greeted(trigger="push_to_talk" if by == "button" else "automatic")
    table.do(Text("hi"))
    old = table.current
    table.reply("One two  three four. Fi", end=False)
    table.wait(1)
    table.wait(0.25)
    interruptions: dict[str, Input] = {"text": Text("stop"), "speech": UserStarted(vad=True), "button": DOWN}
    out = table.do(interruptions[by])
    assert Abort(old.id) in out
    assert (old.heard, old.words_heard, old.interrupted) == ("One two", 2, "user")
    if by != "text":
        out += table.do(*([UP] if by == "button" else [UserStopped(vad=True)]), Text("stop"))
    context = {
        "previous_turn_interrupted": True,
        "words_heard": 2,
        "text_heard": "One two",
        "assistant_turn_id": old.id,
    }
    assert events(out)[-1]["interruption_context"] == context
    table.reply("All right.")
    table.wait(10)
    assert "interruption_context" not in events(table.do(Text("go on")))[-1]


def test_audio_that_still_plays_after_the_stream_can_be_interrupted() -> None:
    table = greeted()
    table.do(Text("hi"))
    old = table.current
    table.reply("One two three four.")
    table.wait(0.6)
    out = table.do(Text("stop"))
    assert Abort(old.id) not in out
    assert events(out)[-1]["interruption_context"]["text_heard"] == "One"


def test_a_turn_heard_to_its_end_is_not_interrupted() -> None:
    table = greeted()
    table.do(Text("hi"))
    old = table.current
    table.reply("One two.")
    table.wait(1.01)
    out = table.do(Text("next"))
    assert "interruption_context" not in events(out)[-1]
    assert (old.heard, old.interrupted) == ("One two.", None)


def test_after_an_interruption_audio_waits_a_moment() -> None:
    table = greeted()
    table.do(Text("hi"))
    table.reply("One two three.", end=False)
    table.do(Text("stop"))
    assert messages(table.reply("Fine."), "response.audio", "response.end") == []
    assert messages(table.wait(GAP / 2), "response.audio") == []
    assert kinds(table.wait(GAP)) == ["response.audio", "response.end"]


def test_nothing_of_a_cut_turn_reaches_the_client() -> None:
    table = greeted()
    table.do(Text("hi"))
    old = table.current.id
    table.voice = False
    table.do(Accepted(old), BackendFrame(old, "response.tts", "One two. Three"))
    table.do(Text("stop"))
    late: list[Input] = [BackendFrame(old, "response.tts", "four"), StreamClosed(old), Accepted(old)]
    assert table.do(*late, Spoken(old, "One two.", speech("One two."))) == []


def test_without_leave_to_interrupt_words_wait_for_their_turn() -> None:
    table = greeted(can_interrupt=False)
    table.do(Text("hi"))
    table.reply("One two three.")
    assert table.do(UserStarted(vad=True), UserStopped(vad=True), Text("and"), Text("then")) == []
    out = table.wait(1.6)
    assert [event["text"] for event in events(out)] == ["and"]
    assert "interruption_context" not in events(out)[0]
    table.reply("Yes.")
    assert [event["text"] for event in events(table.wait(1))] == ["then"]


def test_detected_speech_is_ignored_with_push_to_talk() -> None:
    table = greeted(trigger="push_to_talk")
    table.do(Text("hi"))
    table.reply("One two three.")
    assert table.do(UserStarted(vad=True)) == []


def test_detected_speech_is_told_to_the_client() -> None:
    table = greeted()
    assert messages(table.do(UserStarted(vad=True))) == [{"type": "turn.start", "role": "user"}]
    assert messages(table.do(UserStopped(vad=True))) == [{"type": "turn.end", "role": "user"}]


def test_replay_finished_is_trusted_with_a_turn_and_reckoned_without() -> None:
    table = greeted()
    table.do(Text("hi"))
    turn = table.current
    table.reply("One two three.")
    table.do(ReplayFinished(None))
    assert not turn.over
    table.do(ReplayFinished("t1"))
    assert not turn.over
    table.do(ReplayFinished(turn.id))
    assert (turn.over, turn.heard, turn.interrupted) == (True, "One two three.", None)


@pytest.mark.parametrize("accepted", [True, False])
def test_a_stream_that_ends_anyhow_ends_the_turn_for_the_client(accepted: bool) -> None:
    table = greeted()
    table.do(Text("hi"))
    turn = table.current
    if accepted:
        table.do(Accepted(turn.id))
    assert kinds(table.do(StreamClosed(turn.id, "nothing answers"))) == ["response.end"]
    assert (turn.over, turn.error) == (True, "nothing answers")
    assert table.manager.current is None
    table.do(Text("still there?"))
    assert table.current.said_by_user == "still there?"


def test_data_never_interrupts() -> None:
    table = greeted()
    table.do(Text("hi"))
    turn = table.current.id
    table.reply("One two three.")
    out = table.do(ClientData({"tip": 1}))
    assert out == [DeliverData(turn, {"type": "data", "turn_id": turn, "data": {"tip": 1}})]
    answer = table.do(DataAnswer(turn, {"thanks": True}))
    assert messages(answer) == [{"type": "response.data", "content": {"thanks": True}, "turn_id": turn}]
    assert table.do(DataAnswer(turn, None)) == []
    assert table.current.interrupted is None


def test_blank_text_is_ignored_and_text_before_ready_is_not() -> None:
    table = Table()
    assert table.do(Text("  \n")) == []
    out = table.do(Text("hello?"))
    assert [event["type"] for event in events(out)] == ["session.start", "message"]
    assert table.do(Ready()) == []


def test_a_hang_up_waits_for_the_audio() -> None:
    table = greeted()
    table.do(Text("bye"))
    turn = table.current.id
    out = table.do(
        Accepted(turn), BackendFrame(turn, "response.hangup"), BackendFrame(turn, "response.tts", "Bye bye.")
    )
    out += table.do(BackendFrame(turn, "response.end")) + table.wait(0.9)
    assert kinds(out)[-1] == "response.end"
    assert EndSession("hangup") not in out
    assert EndSession("hangup") in table.wait(2)
    assert table.do(Text("wait")) == []


def test_mutual_silence_ends_the_session() -> None:
    table = greeted(session_timeout=30)
    table.do(Text("hi"))
    table.reply("One.")
    assert table.wait(30) == []
    assert table.wait(1) == [EndSession("timeout")]
    assert table.manager.wake_at is None


def test_a_disconnect_closes_the_webhook_and_settles_what_was_heard() -> None:
    table = greeted()
    table.do(Text("hi"))
    turn = table.current
    table.reply("One two three.", end=False)
    table.do(BackendFrame(turn.id, "response.tts", " Four."))
    table.wait(0.6)
    assert table.do(Disconnected()) == [Abort(turn.id)]
    assert (turn.heard, turn.interrupted) == ("One", "disconnect")
    assert table.do(Text("anyone?"), Tick(), Disconnected()) == []


def test_an_interruption_on_demand_presses_the_button_of_push_to_talk() -> None:
    table = greeted(trigger="push_to_talk", faults=Faults(interrupt_after_ms=700))
    table.do(Text("hi"))
    turn = table.current
    table.reply("One two three.")
    assert kinds(table.wait(0.8)) == ["turn.end"]
    assert (turn.heard, turn.interrupted) == ("One", "user")
    assert events(table.do(Text("so")))[0]["interruption_context"]["words_heard"] == 1


def test_a_caller_who_may_not_interrupt_does_not_on_demand_either() -> None:
    table = greeted(can_interrupt=False, faults=Faults(interrupt_after_ms=700))
    table.do(Text("hi"))
    turn = table.current
    table.reply("One two three.")
    table.wait(5)
    assert (turn.heard, turn.interrupted) == ("One two three.", None)


def test_an_interruption_on_demand() -> None:
    table = greeted(faults=Faults(interrupt_after_ms=700))
    table.do(Text("hi"))
    turn = table.current
    table.reply("One two three.")
    out = table.wait(0.8)
    assert kinds(out) == ["turn.end", "turn.start", "turn.end"]
    assert turn.heard == "One"
    assert events(table.do(Text("so")))[0]["interruption_context"]["words_heard"] == 1

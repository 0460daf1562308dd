"""A turn while it runs: its frames as they come, who listens, and how it is stopped.

There is no queue and no task per frame: the task that runs the turn hands its frames to the socket itself. Others may
join, and the turn goes on while one of them is left.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from ..observability.debug_run import new_frames
from ..wellformed import REPLACEMENT, well_formed
from .blank import is_blank
from .listener import Listener
from .moment import Moment
from .record import BY_MODEL, TTS, Frame, Json, ModelCall, Source, Speech, Stage, Status, ToolCall, TurnRecord
from .sentences import ends_sentence, to_sentence_end
from .state import LiveState

_SPOKEN_BY = itemgetter(0, 1)
HOLD_SECONDS = 0.005
"""So long the last words of a turn wait for its end, to be sent together: a packet for each costs both sides most."""


class LiveTurn:
    """The running turn behind a record. `received` is the monotonic time of the request, in seconds."""

    # Defaults of the class, and not of a dataclass, which would set all of them for each turn.
    response = 0
    """Ordinal of the model response that is being spoken."""
    stopping: Status | None = None
    """Why it is being stopped, if it is."""
    ending = False
    """Nothing more is said; what is left is to save it."""
    hangup = False
    """The agent asked to end the call."""
    spoke = False
    """Whether words were sent to be spoken; white space is none."""
    answered = False
    """The reply is complete. What the agent still does causes no silence that a filler should cover."""
    goodbye: str | None = None
    """What to say at the next sentence's end, because the server goes down."""
    followed = 0
    """How many workers elsewhere listen too, and read the frames from the journal."""
    publisher: asyncio.Task[None] | None = None
    task: asyncio.Task[None] | None = None
    """The task that speaks, while it does."""
    state: LiveState[Any] | None = None
    tool_timeout = 30.0
    """Seconds one tool call may take."""
    first_token_timeout = 8.0
    """Seconds that a model may take to begin to answer a request."""
    piece_timeout = 6.0
    """Seconds that a model may pause within an answer."""
    save: Callable[[], Awaitable[None]] | None = None
    """Writes the record as it stands; the handler's."""
    stand_in: Callable[[ToolCall], Awaitable[Json] | None] | None = None
    """Answers tool calls in place of the tools, in a fork that must not place a second order; None lets one run."""
    late: Callable[[ToolCall], Awaitable[None]] | None = None
    """Writes the result of a tool that outlived the turn; the handler's."""
    carried: Sequence[dict[str, Any]] = ()
    """What data events said meanwhile, to be spoken after this turn's own words."""
    helpers: Stage | None = None
    """What the models of helper agents used, and the record does not tell yet."""
    _half = ""
    """The first half of a character at the end of what was spoken, until the next piece brings the second."""
    _half_of: tuple[Source, int] | None = None
    """Who spoke it, and in which model response."""
    request: ModelCall | None = None
    """The agent's own model request that runs now."""
    _new_segment = False
    """The next words are kept apart from those before."""
    _waking: asyncio.Handle | None = None
    _flushing = False
    """What is added now is sent at once by whoever adds it."""

    def __init__(self, record: TurnRecord, received: float) -> None:
        self.record = record
        self.received = received
        self.ended = Moment()
        self.owed: list[tuple[str, dict[str, Json]]] = []
        """Tasks the agent asked for, by name, with their arguments."""
        self.frames: list[Frame] = new_frames()
        self._listeners: list[Listener] = []
        self._pieces: list[tuple[Source, int, str]] = []
        self._wakers: set[asyncio.Task[None]] = set()

    # --- frames

    def elapsed_ms(self) -> float:
        """Milliseconds since the request was received."""
        # To the microsecond; `round` would look at the digits one by one.
        return int((time.perf_counter() - self.received) * 1e6 + 0.5) / 1000

    def first_token(self) -> None:
        """Note when the model request that runs now, and the turn, had its first token."""
        if self.request is not None and self.request.first_ms is None:
            self.request.first_ms = self.elapsed_ms()
            self.record.timings.setdefault("ttft", self.request.first_ms)

    def emit(self, kind: str, content: Json = None) -> None:
        """Add a frame; it is sent at the next flush, or at the next tick of the loop."""
        self.frames.append(Frame(kind, content, self.elapsed_ms()))
        if not self._flushing:
            self._wake_soon()

    async def speak_out(self, text: str, source: Source) -> None:
        """Add text to be spoken, and send what is pending to the one who asked first before returning."""
        self._flushing = True
        try:
            self.speak(text, source)
        finally:
            self._flushing = False
        if len(self._listeners) > 1:
            self._wake_soon()
        if self._listeners:
            await self._listeners[0].catch_up(self.frames)

    def speak_last(self, text: str, source: Source) -> None:
        """Add the last text to be spoken; it is sent with the turn's end, or in a moment where that is not there yet."""
        if self._waking is None:
            self._waking = asyncio.get_running_loop().call_later(HOLD_SECONDS, self._wake)
        self.speak(text, source)

    def begin_segment(self) -> None:
        """Keep the next words apart from those before, also where both have the same source."""
        self._new_segment = True

    def speak(self, text: str, source: Source) -> None:
        """Add text to be spoken; an empty one is nothing."""
        if self._half or not text.isascii():
            text = self._whole(text, source)
        if self.goodbye is None:
            self._say(text, source)
            return
        if self.stopping is None:
            text, ended = to_sentence_end(text)
            self._say(text, source)
            if ended:
                self._say_goodbye(self.goodbye)

    def speak_apart(self, text: str, source: Source) -> None:
        """Add text that is set apart by a space from the words before it."""
        if text and self._pieces and not self._pieces[-1][2][-1].isspace():
            text = " " + text
        self.speak(text, source)

    def _say(self, text: str, source: Source) -> None:
        if not text:
            return
        text = self._spaced(text, source)
        self.emit(TTS, text)
        self._pieces.append((source, self.response, text))
        if not self.spoke and not is_blank(text):
            self.spoke = True
            self.record.timings["ttfs"] = self.frames[-1].at_ms

    def _whole(self, text: str, source: Source) -> str:
        """Join a character that comes in two pieces; its first half waits for the second."""
        by = source, self.response
        if self._half and self._half_of != by:
            self.end_text()
        text = self._half + text
        self._half, self._half_of = "", None
        if text and "\ud800" <= text[-1] <= "\udbff":
            self._half, self._half_of = text[-1], by
            text = text[:-1]
        return well_formed(text)

    def end_text(self) -> None:
        """Replace half a character that is still waiting: its other half does not come any more."""
        if self._half_of is not None:
            (source, _), self._half, self._half_of = self._half_of, "", None
            self._say(REPLACEMENT, source)

    def _spaced(self, text: str, source: Source) -> str:
        """Put a space between words of different segments: a voice would read them as one word."""
        if self._pieces:
            before, response, said = self._pieces[-1]
            begins = self._new_segment or before != source or response != self.response
            if begins and not (said[-1].isspace() or text[0].isspace()):
                text = " " + text
        self._new_segment = False
        return text + " " if source == "filler" and not text[-1].isspace() else text

    @property
    def model_spoke(self) -> bool:
        """Whether words of the model's own were sent to be spoken."""
        return any(source in BY_MODEL and not is_blank(text) for source, _, text in self._pieces)

    @property
    def in_mid_sentence(self) -> bool:
        """Whether the words so far stop within a sentence."""
        return bool(self._pieces) and not ends_sentence("".join(text for _, _, text in self._pieces[-20:]))

    def collect(self, *, end: Frame | None = None) -> None:
        """Write frames and speech into the record; `end` is the last frame when it is not sent yet."""
        self.record.frames = [*self.frames, end] if end else list(self.frames)
        self.record.speech = self._speech()

    def _speech(self) -> list[Speech]:
        """What was spoken, joined into runs of one source."""
        return [
            Speech(source, response, "".join([text for _, _, text in run]))
            for (source, response), run in groupby(self._pieces, _SPOKEN_BY)
        ]

    async def checkpoint(self, *, settle: bool = False) -> None:
        """Write the turn as it stands; with `settle` what was done to the state stays, whatever comes."""
        if settle and self.state is not None:
            self.state.settle()
        if self.save is not None and not self.ending:
            self.collect()
            await self.save()

    async def finish_late(self, call: ToolCall) -> None:
        """Write the result of a tool that outlived its turn."""
        if self.late is not None:
            await self.late(call)

    # --- listeners

    async def flush_all(self) -> None:
        """Send what is pending to everybody."""
        if self._waking is not None:
            self._waking.cancel()
            self._waking = None
        for listener in list(self._listeners):
            await listener.catch_up(self.frames)

    def _wake_soon(self) -> None:
        if self._waking is None:
            self._waking = asyncio.get_running_loop().call_soon(self._wake)

    def _wake(self) -> None:
        """Send what no flush has sent: words of tools and hooks, and what those who joined have not heard yet."""
        self._waking = None
        if all(listener.up_to_date(self.frames) for listener in self._listeners):
            return
        waker = asyncio.get_running_loop().create_task(self.flush_all())
        self._wakers.add(waker)
        waker.add_done_callback(self._wakers.discard)

    def add(self, listener: Listener) -> None:
        """Let somebody listen, from the first frame on."""
        self._listeners.append(listener)
        listener.attach(self._leave)

    def watch(self) -> None:
        """Find out from now on when a listener leaves: what the agent does would be for nobody."""
        for listener in self._listeners:
            listener.watch()

    def rest(self) -> None:
        """The agent is done: whoever leaves now stops nothing."""
        for listener in self._listeners:
            listener.rest()

    def _leave(self, listener: Listener) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)
        self._stop_if_alone()

    def unfollow(self) -> None:
        """One of the workers elsewhere no longer listens."""
        self.followed -= 1
        self._stop_if_alone()

    def _stop_if_alone(self) -> None:
        if not self._listeners and self.followed <= 0:
            self.stop(Status.INTERRUPTED)

    # --- the end

    def say_goodbye(self, text: str, *, at_once: bool = False) -> None:
        """Say this at the end of the sentence, or at once, and stop; the server goes down."""
        self.goodbye = text
        if self.stopping is None and (at_once or not self.spoke or ends_sentence(self._pieces[-1][2])):
            self._say_goodbye(text)

    def _say_goodbye(self, text: str) -> None:
        if not self.ending:
            self._say(text, "apology")
            self.record.impact = "goodbye"
            self.stop(Status.INTERRUPTED)

    def stop(self, status: Status) -> None:
        """End the turn as interrupted or superseded; a turn that is already ending is left alone."""
        if self.stopping is None and not self.ending:
            self.stopping = status
            if self.task is not None:
                self.task.cancel()

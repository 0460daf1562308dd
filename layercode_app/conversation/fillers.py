"""Fillers: short texts that cover a silence, each spoken at most once a turn."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from loguru import logger

from .live import LiveTurn
from .playback import Playback, was_said


@dataclass(frozen=True)
class Filler:
    """The filler texts of an agent, and how long a turn must be silent before a filler is spoken."""

    texts: tuple[str, ...] | None = None
    """The texts, spoken one after another; None means the texts in the settings."""
    after: float = 1.5
    """If a turn says nothing for this many seconds at its beginning, a filler is spoken."""
    every: float | None = 3.5
    """Seconds from the last words to the next filler. With None, fillers are spoken only before the first words."""
    tools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Additional texts by the name of a tool. While that tool runs, they are spoken before the others."""


class Fillers:
    """The timer of one turn's fillers. It costs nothing per word, because it reads the frames only when it fires."""

    def __init__(self, live: LiveTurn, filler: Filler, texts: Sequence[str]) -> None:
        self._live = live
        self._filler = filler
        self._texts = texts
        self._timer: asyncio.TimerHandle | None = None
        self._playback = Playback(live)

    def start(self) -> None:
        """Start the timer. From now on, a filler is spoken when the turn has been silent for too long."""
        if self._filler.tools:
            self._live.run.tool_started = self._tool_started
        self._sleep()

    def stop(self) -> None:
        """Stop speaking fillers."""
        if self._timer is not None:
            self._timer.cancel()

    def due(self) -> float | None:
        """Return the time of the next filler, in milliseconds since the request; None if there will be none."""
        return self._end_of_silence() if self._next_text() is not None else None

    def _end_of_silence(self) -> float | None:
        """Return the time at which the silence becomes too long, in milliseconds since the request.

        Return None if words were spoken and no fillers are wanted after them.
        """
        after = self._filler.after * 1000
        if not self._live.spoken.begun:
            return after
        if self._filler.every is None:
            return None
        self._playback.catch_up()
        last, played, every = self._playback.last_words, self._playback.played, self._filler.every * 1000
        # If the last words play for longer than `every`, the filler follows after a pause, not at once.
        pause = min(after, max(played - last - every, 0.0))
        return max(last + every, played) + pause

    def _next_text(self) -> str | None:
        """Return the next text that was not yet said in this turn, or None. Texts of running tools come first."""
        return next((text for text in self._candidates() if not was_said(self._live, text)), None)

    def _candidates(self) -> Iterator[str]:
        if self._filler.tools:
            for call in reversed(self._live.record.tools):
                if call.status == "running":
                    yield from self._filler.tools.get(call.name, ())
        yield from self._texts

    def _tool_started(self) -> None:
        """Restart the timer. It may have stopped because all texts were used up, but the new tool may add texts."""
        self.stop()
        self._sleep()

    def _sleep(self) -> None:
        due = self._end_of_silence()
        if due is not None:
            seconds = max(due - self._live.elapsed_ms(), 0) / 1000
            self._timer = asyncio.get_running_loop().call_later(seconds, self._wake)

    def _wake(self) -> None:
        due = self._end_of_silence()
        if due is None or self._over():
            return
        if self._live.elapsed_ms() >= due:
            text = self._next_text()
            if text is None:
                self._warn()
                return
            self._speak(text)
        self._sleep()

    def _warn(self) -> None:
        if self._texts and self._filler.every is not None:
            logger.warning(
                "All {} filler texts of this turn are used up, so the caller hears silence. Add texts to filler= or "
                "LAYERCODE_FILLER, or call turn.progress(...) in the slow tool.",
                len(self._texts),
            )

    def _over(self) -> bool:
        """Return whether fillers are no longer needed: the reply is complete, or the turn or the call is ending."""
        live = self._live
        ending = live.ending or live.stopping is not None or live.goodbye is not None
        return ending or live.run.answered or live.hang_up.asked

    def _speak(self, text: str) -> None:
        self._live.speak(text, "filler")
        if self._live.record.impact == "nothing":
            self._live.record.impact = "filler"

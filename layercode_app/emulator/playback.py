"""What of a reply has been played: pure bookkeeping over the audio that was sent, and the cutting of text to speak."""

from __future__ import annotations

import re

from .speech import RATE, Speech

_WORD = re.compile(r"\S+")
# The escapes are the closing quotes, and the full-width marks of scripts that put no space after them.
_SENTENCE = re.compile("[.!?\u2026:;]+[\"'\u201d\u2019)\\]]*(?=\\s)|[\u3002\uff01\uff1f\uff1b\n]")
_LONGEST = 300


class Playback:
    """The client's loudspeaker as the platform must imagine it: pieces play one after another as they arrive."""

    def __init__(self) -> None:
        self.text = ""
        """The text whose audio was sent."""
        self.until = 0.0
        """When all audio sent so far will have been played."""
        self.sent_seconds = 0.0
        """How much audio was sent, played or not."""
        self.pieces: list[tuple[float, bytes]] = []
        """Every piece of audio with the time it begins to play."""
        self._words: list[tuple[float, int]] = []  # when a word has been played, and where in the text it ends

    def play(self, text: str, speech: Speech, now: float) -> None:
        """Audio for the next part of the text was sent."""
        start = max(now, self.until)
        for word, end in zip(_WORD.finditer(text), speech.word_ends, strict=False):
            self._words.append((start + end, len(self.text) + word.end()))
        self.text += text
        self.until = start + speech.seconds
        self.sent_seconds += speech.seconds
        self.pieces.append((start, speech.pcm))

    def finish(self, now: float) -> None:
        """The client is known to have played everything sent so far."""
        self.until = min(self.until, now)
        self._words = [(min(end, now), place) for end, place in self._words]

    def heard(self, now: float) -> str:
        """The text that was played: up to the last word whose end has passed."""
        return self.text[: max((place for end, place in self._words if end <= now), default=0)]

    def cut(self, now: float) -> None:
        """Nothing is played from now on."""
        self.pieces = [(start, _until(pcm, now - start)) for start, pcm in self.pieces if start < now]
        self.until = min(self.until, now)

    def forget(self) -> None:
        """Let go of the audio; what was heard of it stays."""
        self.pieces.clear()


def _until(pcm: bytes, seconds: float) -> bytes:
    return pcm[: 2 * int(seconds * RATE)]


class Segmenter:
    """Cuts a stream of text pieces, of any size, into segments worth speaking. The segments add up to the text."""

    def __init__(self) -> None:
        self._rest = ""

    @property
    def pending(self) -> bool:
        """Whether there is text that no segment holds yet."""
        return bool(self._rest.strip())

    def feed(self, piece: str) -> list[str]:
        """Take the next piece; gives the segments it completes."""
        self._rest += piece
        segments = []
        while (end := self._boundary()) is not None:
            segments.append(self._rest[:end])
            self._rest = self._rest[end:]
        return segments

    def flush(self) -> list[str]:
        """Give what is left: the stream ended, or stalls. White space alone stays."""
        if not self.pending:
            return []
        segment, self._rest = self._rest, ""
        return [segment]

    def _boundary(self) -> int | None:
        for match in _SENTENCE.finditer(self._rest):
            if self._rest[: match.end()].strip():
                return match.end()
        if len(self._rest) <= _LONGEST:
            return None
        space = self._rest.rfind(" ", 1, _LONGEST)
        return space if self._rest[:space].strip() and space > 0 else _LONGEST

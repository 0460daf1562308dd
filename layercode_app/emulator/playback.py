"""Compute how much of a reply was played, and split text into segments to speak. This module does no IO."""

from __future__ import annotations

import re

from .speech import RATE, Speech

_WORD = re.compile(r"\S+")
# The escapes are the ellipsis, closing quotes, and full-width marks, which have no space after them.
# The lookbehind lets a match begin only at the first of several marks. Otherwise, a long row of marks would be searched
# again from each mark, in quadratic time.
_SENTENCE = re.compile("(?<![.!?\u2026:;])[.!?\u2026:;]+[\"'\u201d\u2019)\\]]*(?=\\s)|[\u3002\uff01\uff1f\uff1b\n]")
_LONGEST = 300


class Playback:
    """A model of the client's loudspeaker. It plays one piece of audio after another, in the order of arrival."""

    def __init__(self) -> None:
        self.text = ""
        """The text whose audio was sent."""
        self.until = 0.0
        """The time when all audio sent so far will have been played."""
        self.sent_seconds = 0.0
        """Seconds of audio sent, played or not."""
        self.pieces: list[tuple[float, bytes]] = []
        """Every piece of audio with its start time."""
        self._words: list[tuple[float, int]] = []  # end time of each word, and its end index in the text

    def play(self, text: str, speech: Speech, now: float) -> None:
        """Record that the audio of the next part of the text was sent to the player."""
        start = max(now, self.until)
        for word, end in zip(_WORD.finditer(text), speech.word_ends, strict=False):
            self._words.append((start + end, len(self.text) + word.end()))
        self.text += text
        self.until = start + speech.seconds
        self.sent_seconds += speech.seconds
        self.pieces.append((start, speech.pcm))

    def finish(self, now: float) -> None:
        """Record that the client has played everything sent so far."""
        self.until = min(self.until, now)
        self._words = [(min(end, now), place) for end, place in self._words]

    def heard(self, now: float) -> str:
        """Return the text that has been played until `now`, up to the last word that was played completely."""
        return self.text[: max((place for end, place in self._words if end <= now), default=0)]

    def cut(self, now: float) -> None:
        """Stop the playback now, and drop the rest of the audio."""
        self.pieces = [(start, _until(pcm, now - start)) for start, pcm in self.pieces if start < now]
        self.until = min(self.until, now)

    def forget(self) -> None:
        """Free the audio; the record of what was heard stays."""
        self.pieces.clear()


def _until(pcm: bytes, seconds: float) -> bytes:
    return pcm[: 2 * int(seconds * RATE)]


class Segmenter:
    """Splits text into segments to speak. The text arrives in pieces of any size; no character is lost or added."""

    def __init__(self) -> None:
        self._rest = ""

    @property
    def pending(self) -> bool:
        """Whether text that was fed is still waiting for the end of its segment; white space does not count."""
        return bool(self._rest.strip())

    def feed(self, piece: str) -> list[str]:
        """Add the next piece, and return the segments that it completes."""
        text, self._rest = self._rest + piece, ""
        segments, end = _sentences(text)
        while len(text) - end > _LONGEST:
            start, end = end, _cut(text, end)
            segments.append(text[start:end])
        self._rest = text[end:]
        return segments

    def flush(self) -> list[str]:
        """Return the remaining text as a segment, when the stream ends or stalls. White space alone is no segment."""
        if not self.pending:
            return []
        segment, self._rest = self._rest, ""
        return [segment]


def _sentences(text: str) -> tuple[list[str], int]:
    """Return the whole sentences of the text, and the index of the text after them. No sentence is blank."""
    sentences, start, blank = [], 0, 0
    for match in _SENTENCE.finditer(text):
        if text[blank : match.end()].strip():
            sentences.append(text[start : match.end()])
            start = match.end()
        blank = match.end()
    return sentences, start


def _cut(text: str, start: int) -> int:
    """Return where to end a segment that is too long: at its last space, or else at the maximum length."""
    space = text.rfind(" ", start + 1, start + _LONGEST)
    return space if space > 0 and text[start:space].strip() else start + _LONGEST

"""The work for one long text or one long audio message grows with its length, not with the square of it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layercode_app.emulator.playback import Segmenter
from layercode_app.emulator.utterances import Utterances

LONGER = 8
STEEPEST = 3 * LONGER
"""The longest time that the longer input may take, as a multiple of the shorter input's time.

Linear work takes about `LONGER` times as long, quadratic work the square of that.
"""


def seconds(work: Callable[[], object]) -> float:
    """Do the work three times. Return the shortest of the three CPU times of this process."""
    times = []
    for _ in range(3):
        begun = time.process_time()
        work()
        times.append(time.process_time() - begun)
    return min(times)


@pytest.mark.parametrize(
    "text", ["word ", "x", "\n", ".", "Hi there. "], ids=["words", "letters", "lines", "dots", "sentences"]
)
def test_a_long_text_is_split_in_linear_time(text: str) -> None:
    short = text * (40_000 // len(text))
    assert seconds(lambda: Segmenter().feed(short * LONGER)) < STEEPEST * seconds(lambda: Segmenter().feed(short))


def test_a_long_audio_message_is_searched_in_linear_time() -> None:
    short = bytes(1_000_000)
    assert seconds(lambda: Utterances().feed(short * LONGER)) < STEEPEST * seconds(lambda: Utterances().feed(short))


def test_a_text_without_sentences_is_split_between_words() -> None:
    segmenter = Segmenter()
    segments = segmenter.feed("word " * 1000) + segmenter.flush()
    assert "".join(segments) == "word " * 1000
    assert {segment.strip(" word") for segment in segments} == {""}
    assert all(segment.startswith(" word") for segment in segments[1:])
    assert max(map(len, segments)) <= 300


@given(st.lists(st.text("ab .!?\n…", max_size=700), max_size=5))
def test_no_character_is_lost_and_no_sentence_is_blank(pieces: list[str]) -> None:
    segmenter = Segmenter()
    segments = [segment for piece in pieces for segment in segmenter.feed(piece)]
    assert not segments or "".join(pieces).startswith("".join(segments))
    assert all(segment.strip() or len(segment) == 300 for segment in segments)
    rest = "".join(pieces).removeprefix("".join(segments))
    assert segmenter.flush() == ([rest] if rest.strip() else [])
    assert len(rest) <= 300

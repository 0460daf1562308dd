"""Sentence ends are found in text."""

from __future__ import annotations

import pytest

from layercode_app.conversation.sentences import ends_sentence, to_sentence_end


@pytest.mark.parametrize(
    ("text", "kept", "ended"),
    [
        ("One. Two.", "One.", True),
        ("no end, yet", "no end, yet", False),
        ("It costs 3.50 today", "It costs 3.50 today", False),
        ("It costs 3.", "It costs 3.", False),
        ('He said "stop!" and', 'He said "stop!"', True),
        ("Really?", "Really?", True),
        ("first line\nsecond", "first line\n", True),
        ("", "", False),
        ("終わり。次", "終わり。", True),
    ],
)
def test_text_is_cut_after_its_first_sentence(text: str, kept: str, ended: bool) -> None:
    assert to_sentence_end(text) == (kept, ended)


@pytest.mark.parametrize(
    ("text", "ends"),
    [("Done.", True), ("Done. ", True), ("Done. And", False), ("", True), (" ", True), ("3.", False), ("Wait", False)],
)
def test_a_text_may_stop_at_a_sentences_end(text: str, ends: bool) -> None:
    assert ends_sentence(text) is ends

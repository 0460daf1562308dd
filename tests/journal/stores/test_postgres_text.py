"""Text with the character U+0000 is encoded for PostgreSQL, which cannot store it. Reading gives the original text."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from layercode_app.journal.record_json import from_json, to_json
from layercode_app.journal.stores.postgres_text import restored, restored_json, storable, storable_json

TEXTS = st.text(st.sampled_from('\0\ue000\ue001\\u0a"é😀') | st.characters(exclude_categories=["Cs"]))


@given(TEXTS)
def test_a_text_is_read_back_as_it_was(text: str) -> None:
    assert "\0" not in storable(text)
    assert restored(storable(text)) == text


@given(TEXTS, TEXTS)
def test_different_texts_stay_different(one: str, other: str) -> None:
    assert (storable(one) == storable(other)) == (one == other)


@given(TEXTS, TEXTS)
def test_beginnings_stay_beginnings(one: str, other: str) -> None:
    if one.startswith(other) and not one[len(other) :].startswith("\ue001"):
        assert storable(one).startswith(storable(other))


@settings(max_examples=30)
@given(st.dictionaries(TEXTS, TEXTS, max_size=3))
def test_json_is_read_back_as_it_was(value: object) -> None:
    stored = storable_json(to_json(value))
    assert "\\u0000" not in stored.replace("\\\\", "")
    assert from_json(restored_json(stored.encode())) == value

"""The filter that removes Markdown and emoji from a streamed text, because they cannot be spoken."""

from __future__ import annotations

import string
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from layercode_app import Speakable
from layercode_app.agent.markdown_filter import speakable

MARKDOWN = st.text(alphabet="ab1 *_~`#>-+=![]()\\|:\n🎉✅\ufe0f\u200d👩•é.")
PLAIN = st.text(alphabet=string.ascii_letters + string.digits + " .,;?'\"éßñ字")


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("**Hello** there", "Hello there"),
        ("It is *very* good, __really__.", "It is very good, really."),
        ("Use `pip` now", "Use pip now"),
        ("# Title\nText", "Title\nText"),
        ("- milk\n* eggs\n+ flour", "milk\neggs\nflour"),
        ("> quoted", "quoted"),
        ("> - nested", "nested"),
        ("a\n---\nb", "a\n\nb"),
        ("See [our menu](https://example.test/a_(b)) today", "See our menu today"),
        ("![a cake](cake.png) yum", "a cake yum"),
        ("As said [here][1].", "As said here."),
        ("[a](b 'of c') d", "a d"),
        ("[a](<b c>) d", "a d"),
        ("[A](or B, **please**) tell me", "A(or B, please) tell me"),
        ("[A](or B, please", "A(or B, please"),
        ("[A](or 'B', please", "A(or 'B', please"),
        ("[A](or\nB", "A(or\nB"),
        ("[A][or B, please", "A[or B, please"),
        ("[our menu](https://example.test/a is here", "our menu is here"),
        ("[our menu](https://example.test/a", "our menu"),
        ("Great 🎉 news! 👩\u200d🍳 cooks ✅", "Great news! cooks "),
        ("✅ Done", "Done"),
        ("```python\nx = 1\n```\nok", "\nx = 1\n\nok"),
        ("| Item | Price |\n|:---|---:|\n| Bun | 2 |", "Item Price \n\nBun 2 "),
        ("Hello! How are you?", "Hello! How are you?"),
        ("~~old~~ new, ~5", "old new, ~5"),
        (r"\*not bold\*", "*not bold*"),
    ],
)
def test_what_is_written_and_what_is_spoken(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


@pytest.mark.parametrize(
    "text",
    [
        *("2 * 3 is 6", "2*3", "snake_case", "-5 degrees", "#1 in town", "well-known", "a > b", "1. First"),
        *("x = y + z", "\u0915\u094d\u200d\u0937"),
    ],
)
def test_what_only_looks_like_markdown_is_left_alone(text: str) -> None:
    assert speakable(text) == text


@given(MARKDOWN, st.lists(st.integers(0, 60), max_size=8))
@example("**Hello**", [1, 2, 3])
@example("[a](b)c", [3, 4])
def test_any_pieces_give_the_same_words(text: str, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    one = Speakable()
    pieces = [one.feed(text[start:end]) for start, end in pairwise(edges)]
    assert "".join(pieces) + one.flush() == speakable(text)


@given(PLAIN)
def test_plain_text_passes_unchanged_and_at_once(text: str) -> None:
    one = Speakable()
    assert "".join([one.feed(char) for char in text]) == text
    assert one.flush() == ""


@given(MARKDOWN)
def test_nothing_is_made_up_and_no_emoji_is_left(text: str) -> None:
    rest = iter(text)
    spoken = speakable(text)
    assert all(char in rest for char in spoken), "the spoken characters are a part of the written ones, in order"
    assert not set(spoken) & set("🎉✅👩•`") - ({"`"} if "\\`" in text else set())


@pytest.mark.parametrize("written", ["**Hello", "# Hello", "[Hello", "- Hello", "🎉 Hello"])
def test_the_first_word_is_not_delayed(written: str) -> None:
    assert Speakable().feed(written) == "Hello"


def test_a_flush_lets_out_what_was_held_and_begins_a_line() -> None:
    one = Speakable()
    assert one.feed("One moment!") == "One moment"
    assert one.flush() == "!"
    assert one.feed("- Found it") == "Found it"

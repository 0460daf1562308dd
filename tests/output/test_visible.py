"""Functions that make text safe for lines, blocks, JSON, labels and messages."""

from __future__ import annotations

import json

import pytest

from layercode_app.output.messages import defused
from layercode_app.output.visible import json_text, shortened, visible, visible_lines

from ..hostile import ALL, FAMILIES, HALF, LONG, acting


@pytest.mark.parametrize("text", [*FAMILIES.values(), ALL, HALF, LONG], ids=[*FAMILIES, "all", "half", "long"])
def test_no_family_acts(text: str) -> None:
    assert acting(visible(text)) == []
    assert "\n" not in visible(text)
    assert acting(visible_lines(text)) == []
    assert all(line.startswith("> ") for line in visible_lines(text, indent="> ").split("\n")[1:])
    assert acting(json_text({text: [text]}, indent=2)) == []
    assert json.loads(json_text({text: [text]})) == {text: [text]}
    assert acting(defused(text)) == []
    assert len(shortened(text, 10)) <= 10


@pytest.mark.parametrize("text", ["Zwölf Brötchen", "שלום", "一二三", "👩‍👩‍👧", "می‌خواهم", "a\u00a0b", "́e", "tab"])
def test_words_of_every_language_stay(text: str) -> None:
    assert visible(text) == visible_lines(text) == text
    assert json_text(text) == f'"{text}"'


def test_numbers_that_are_not_json_become_null() -> None:
    odd = {"mean": float("inf"), "all": [1.5, float("nan")], "name": "ü\x7f"}
    assert json_text(odd) == '{"mean": null, "all": [1.5, null], "name": "ü\\u007f"}'
    assert json_text(odd, ensure_ascii=True) == '{"mean": null, "all": [1.5, null], "name": "\\u00fc\\u007f"}'


def test_what_is_shown_is_named() -> None:
    assert visible("\x1b]52;c;Zm9v\x07\x9b\x7f\n\u202e\ud800") == "␛]52;c;Zm9v␇<U+009B>␡␊<U+202E><U+D800>"
    assert visible_lines("a\r\nb\rc\u2028d\te", indent="  ") == "a\n  b\n  c\n  d\te"


def test_a_message_mentions_and_links_nobody() -> None:
    text = "<!channel> <@U1> @everyone <http://evil.example|click> [m](http://evil.example) a@b.example p95 < 2s"
    assert defused(text) == (
        "\u2039!channel> \u2039\uff20U1> \uff20everyone \u2039http://evil.example|click> [m] (http://evil.example) a@b.example p95 < 2s"
    )

"""The platform's transcript of a session is matched to the turns of the journal."""

from __future__ import annotations

import pytest

from layercode_app.conversation.transcripts import shortened
from layercode_app.journal.record import Kind, Speech, TurnRecord


def turn(turn_id: str, spoken: str, heard: str | None = None) -> TurnRecord:
    return TurnRecord("c", turn_id, Kind.MESSAGE, "a", speech=[Speech("model", 0, spoken)], heard_text=heard)


TURNS = [turn("1", "one two three"), turn("2", "four five six", heard="four"), turn("3", "seven eight nine")]


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (["one two three", "four five six", "seven eight nine"], []),
        (["one", "four", "seven eight"], [("1", "one"), ("3", "seven eight")]),
        # A line of a spelling that is not ours ends no matching.
        (["1 2", "seven"], [("3", "seven")]),
        (["seven", "one"], [("3", "seven")]),
        ([], []),
    ],
)
def test_lines_are_matched_in_order_and_odd_ones_are_passed_over(said: list[str], found: list[tuple[str, str]]) -> None:
    assert [(record.turn_id, line) for record, line in shortened(TURNS, said)] == found

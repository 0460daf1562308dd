"""An exported call is one file that holds everything but what is personal."""

from __future__ import annotations

import json
import re

from layercode_app.conversation.record import Frame, Kind, Speech, Status, TurnRecord
from layercode_app.emulator.playground.export import export_page, redact


def a_turn() -> TurnRecord:
    return TurnRecord(
        "conv-20261121", "turn-1", Kind.MESSAGE, "shop",
        status=Status.COMPLETE,
        user_text="Call me on +1 415 555 0199 or write to ada@example.com </script>",
        event={"type": "message", "from_phone_number": "+14155550199", "metadata": {"api_key": "test-key-123"}},
        speech=[Speech("model", 0, "Two at 4.80 euros, in 2026.")],
        frames=[Frame("response.tts", "Two at 4.80 euros, in 2026.", 12.5), Frame("response.end", None, 20.0)],
        timings={"ttfs": 12.5, "total": 20.0},
    )  # fmt: skip


def embedded(page: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="call">(.*?)</script>', page, re.DOTALL)
    assert found
    value: dict[str, object] = json.loads(found[1])
    return value


def test_the_page_needs_nothing_and_shows_no_personal_detail() -> None:
    page = export_page([a_turn()])
    assert "0199" not in page
    assert "ada@example.com" not in page
    assert "test-key-123" not in page
    assert "Two at 4.80 euros, in 2026." in page
    assert embedded(page)["conversation_id"] == "conv-20261121"
    assert not re.search(r'(src|href)="|@import|^import ', page, re.MULTILINE)


def test_who_asks_for_everything_gets_everything() -> None:
    assert "+14155550199" in export_page([a_turn()], redacted=False)


def test_figures_and_times_are_not_taken_for_phone_numbers() -> None:
    kept = {"started_at": 1795223625.25, "text": "at 19:30 on 2026-11-21 for 12.50", "ids": ["a1b2c3d4e5f60718"]}
    assert redact(kept) == kept

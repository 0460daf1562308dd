"""An exported call is a single file with everything except personal data."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from layercode_app import Turn, VoiceAgent
from layercode_app._version import __version__
from layercode_app.cli.sessions.view import write_export
from layercode_app.emulator.playground.export import export_page
from layercode_app.emulator.playground.figures import whole
from layercode_app.journal.record import Frame, Kind, Speech, Status, ToolCall, TurnRecord
from layercode_app.journal.record_json import from_json, to_json
from layercode_app.observability.privacy.masked_export import masked_pieces, masked_turns, redact
from layercode_app.observability.privacy.masking import MASK
from layercode_app.replay.recording import read_export
from layercode_app.testing import events, open_call


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
    assert "555 0199" not in page
    assert "5550199" not in page
    assert "ada@example.com" not in page
    assert "test-key-123" not in page
    assert "Two at 4.80 euros, in 2026." in page
    assert embedded(page)["conversation_id"] == "conv-20261121"
    assert not re.search(r'(src|href)="|@import|^import ', page, re.MULTILINE)


def test_the_page_says_when_by_what_and_whether_masked_it_was_written() -> None:
    for redacted in (True, False):
        exported = embedded(export_page([a_turn()], redacted=redacted))["exported"]
        assert isinstance(exported, dict)
        assert time.time() - 60 < exported["at"] <= time.time()
        assert (exported["version"], exported["masked"]) == (__version__, redacted)


def test_who_asks_for_everything_gets_everything() -> None:
    assert "+14155550199" in export_page([a_turn()], redacted=False)


def test_figures_and_times_are_not_taken_for_phone_numbers() -> None:
    kept = {"started_at": 1795223625.25, "text": "at 19:30 on 2026-11-21 for 12.50", "ids": ["a1b2c3d4e5f60718"]}
    assert redact(kept) == kept


def test_numbers_of_tokens_are_no_secrets() -> None:
    usage = {"input_tokens": 4_155_550_199, "output_tokens": 12, "cache_read_tokens": 0}
    report = {"tokens": usage, "usage": usage, "max_tokens": 400}
    assert redact(report) == report
    for secret in ({"pin": 4711}, {"input_tokens": "4711"}, [4711], {"input_tokens": 1, "pin": 4711}):
        assert redact({"tokens": secret, "credentials": secret}) == {"tokens": MASK, "credentials": MASK}


def test_what_has_a_secret_name_is_masked_whatever_it_is() -> None:
    values = {"phone": 14155550134, "password": ["hunter2"], "api_key": {"v": "x"}, "token": "", "email_known": True}
    masked = {"phone": MASK, "password": MASK, "api_key": MASK, "token": "", "email_known": True}
    assert redact(values) == masked


def test_an_id_that_a_tool_was_given_is_no_id_of_ours() -> None:
    assert redact({"id": "zoe@example.com", "turn_id": "+1 415 555 0134"}) == {"id": MASK, "turn_id": MASK}
    assert redact({"number": 4155550134, "ends_at": 1795223625, "year": 2026}) == {
        "number": MASK, "ends_at": 1795223625, "year": 2026
    }  # fmt: skip


@pytest.mark.parametrize("size", [1, 4, 9, 100])
def test_pieces_read_together_as_the_whole_does_masked(size: int) -> None:
    text = "It is four one five, five five five, zero one three four; or zoe@example.com, or at nine."
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    masked = masked_pieces(pieces)
    assert len(masked) == len(pieces)
    assert "".join(masked) == f"It is {MASK}; or {MASK}, or at nine."


def test_many_masks_take_linear_time() -> None:
    """A text ten times as long may take twenty times as long, plus 0.2 seconds because the clock is inexact."""

    def seconds(size: int) -> float:
        text = "".join(f"Call {5551230000 + n} now, that is shop {n % 7}, and it is open. " for n in range(size))
        begun = time.process_time()
        pieces = masked_pieces([text[start : start + 20] for start in range(0, len(text), 20)])
        keys = redact({f"+1415555{n:04}": n for n in range(10 * size)})
        assert isinstance(keys, dict)
        assert len(keys) == 10 * size
        assert "".join(pieces).count(f"Call {MASK} now, that is shop ") == size
        return time.process_time() - begun

    assert seconds(500) < 20 * seconds(50) + 0.2


DIGITS = ("four ", "one ", "five, ", "five ", "five ", "five, ", "zero ", "one ", "three ", "four")


@pytest.mark.anyio
async def test_no_piece_of_a_masked_number_is_left(tmp_path: Path) -> None:
    """The agent reads a number back word by word, and the caller interrupts it in the middle of the number."""
    agent = VoiceAgent("intake")

    @agent.on_message
    async def read_back(turn: Turn) -> AsyncIterator[str]:
        for word in ("Read back: ", *DIGITS, ". Is ", "it right?"):
            yield word

    async with open_call(agent) as call:
        await call.say("Note my number")
        await call.say("Yes", interruption_context=events.interruption("Read back: four one five, five five"))
        turns = await call.records()
    assert turns[0].heard_text == "Read back: four one five, five five"
    path = tmp_path / "call.json"
    write_export(turns, html=False, output=path, redacted=True)
    page = re.sub("<style>.*?</style>|<script type=.module.*", "", export_page(turns), flags=re.DOTALL)
    for exported in (path.read_text(), page):
        assert "Read back: [redacted]" in exported
        assert "it right?" in exported
        assert not re.search(r"\b(four|five|three|zero|one)\b", exported)
    assert [turn.spoken_text for turn in read_export(path).turns] == [f"Read back: {MASK}. Is it right?"] * 2


def test_what_a_tool_said_is_masked_as_a_piece_of_the_reply() -> None:
    turn = a_turn()
    turn.speech = [Speech("say", 0, "Noted: 415 555"), Speech("model", 1, " 0199 it is.")]
    call = ToolCall("1", "note", {}, 1.0, effects={"said": "Noted: 415 555", "fields": ["phone"]})
    turn.tools = [call, ToolCall("2", "look_up", {}, 1.0, effects={"said": "dropped on 415 555 0199"})]
    [masked] = masked_turns([from_json(to_json(whole(turn)))])
    assert [one["effects"]["said"] for one in masked["tools"]] == [f"Noted: {MASK}", f"dropped on {MASK}"]
    assert masked["tools"][0]["effects"]["fields"] == ["phone"]


def test_details_in_names_numbers_and_repeated_secrets_are_masked() -> None:
    turn = a_turn()
    turn.metadata = {"users": [{"token": "test-token-123"}], "validated": 4155550199, "order_at": 1700000000}
    turn.counts = {"+14155550199": 1, "+14155550198": 2}
    turn.tools = [ToolCall("1", "look_up", {"session": "test-token-123"}, 1.0, result="{'password': 'test-pass'}")]
    turn.speech = [Speech("model", 0, "It is 415\N{NON-BREAKING HYPHEN}555\N{NON-BREAKING HYPHEN}0199.")]
    [masked] = masked_turns([from_json(to_json(whole(turn)))])
    shown = json.dumps(masked, ensure_ascii=False)
    for detail in ("test-token-123", "test-pass", "5550199", "5550198", "415", "0199"):
        assert detail not in shown.replace("conv-20261121", "")
    assert list(masked["counts"].values()) == [1, 2]
    assert masked["metadata"]["order_at"] == 1700000000

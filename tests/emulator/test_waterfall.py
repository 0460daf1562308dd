"""The waterfall that the dev page gets. A step that belongs to a message has the index of that message.

Failed turns, and turns from the journals of older versions, have a waterfall too.
"""

from __future__ import annotations

import re
from typing import Any

from layercode_app.emulator.playground.export import MODULES, STATIC
from layercode_app.emulator.playground.figures import whole
from layercode_app.journal.record import Frame, Kind, ModelCall, Speech, Stage, Status, ToolCall, TurnRecord
from layercode_app.journal.record_json import to_json


def part(kind: str, **given: Any) -> dict[str, Any]:
    return {"part_kind": kind, **given}


def steps(record: TurnRecord, *messages: dict[str, Any]) -> list[tuple[str, int | None]]:
    """Return the name of each step, with the index of its message in `messages`, or None if it has no message."""
    record.messages = to_json(list(messages))
    return [(step["name"], step["message"]) for step in whole(record)["waterfall"]["steps"]]


def test_each_request_leads_to_its_response_and_each_tool_to_its_call() -> None:
    record = TurnRecord("c", "t", Kind.MESSAGE, "a", timings={"verified": 1.0, "history": 2.0, "total": 9000.0})
    record.requests = [
        ModelCall("m", 2.0, 400.0, 600.0, "done"),
        ModelCall("small", 700.0, None, 900.0, "done", stage="plan"),
        ModelCall("m", 4610.0, None, 4700.0, "failed"),
        ModelCall("m", 4800.0, 5590.0, 8990.0, "done"),
    ]
    record.tools = [
        ToolCall("1", "search", {}, 605.0, 4605.0, "done"),
        ToolCall("9", "lost", {}, 605.0, 606.0, "failed"),
    ]
    record.stages = [Stage("plan", 650.0, 950.0, "done")]
    asked = {"kind": "request", "parts": [part("user-prompt", content="Where?")]}
    called = {"kind": "response", "parts": [part("text"), part("tool-call", tool_call_id="1")]}
    returned = {"kind": "request", "parts": [part("tool-return", tool_call_id="1")]}
    assert steps(record, asked, called, returned, {"kind": "response", "parts": [part("text")]}) == [
        ("verify", None),
        ("history", None),
        ("model", 1),
        ("between", None),
        ("search", 1),
        ("lost", None),
        ("plan", None),
        ("plan: small", None),
        ("model 2", None),
        ("model 3", 3),
        ("finish", None),
    ]


def test_a_turn_of_an_older_journal_is_drawn_up_to_its_first_token() -> None:
    timings = {"verified": 1.0, "history": 2.0, "ttft": 300.0, "ttfs": 301.0, "total": 900.0}
    record = TurnRecord("c", "t", Kind.MESSAGE, "a", timings=timings, status=Status.COMPLETE)
    record.speech, record.frames = [Speech("model", 0, "Hi.")], [Frame("response.tts", "Hi.", 301.0)]
    found = whole(record)
    bars = [(step["name"], step["started_ms"], step["ended_ms"]) for step in found["waterfall"]["steps"]]
    assert bars == [("verify", 0, 1.0), ("history", 1.0, 2.0), ("model", 2.0, 300.0), ("rest", 300.0, 900.0)]
    assert found["waterfall"]["verdict"]["text"] == "298 ms of 301 ms: the model's first token"
    assert found["account"] == "It went well: first speech after 301 ms."


def test_a_request_that_failed_is_drawn_as_failed() -> None:
    record = TurnRecord("c", "t", Kind.MESSAGE, "a", timings={"verified": 1.0, "history": 2.0, "total": 500.0})
    record.requests = [ModelCall("m", 2.0, None, 499.0, "failed")]
    (model,) = [step for step in whole(record)["waterfall"]["steps"] if step["kind"] == "model"]
    assert (model["started_ms"], model["ended_ms"], model["status"], model["first_ms"]) == (2.0, 499.0, "failed", None)


def test_the_modules_of_an_exported_page_share_no_name() -> None:
    # The exported page joins all modules into one script, so two modules must not define the same name.
    names = [
        name
        for module in MODULES
        for name in re.findall(
            r"^(?:export )?(?:async )?(?:function|const|let|class) (\w+)",
            (STATIC / "js" / f"{module}.js").read_text(),
            re.MULTILINE,
        )
    ]
    assert len(names) > 50
    assert sorted(names) == sorted(set(names))

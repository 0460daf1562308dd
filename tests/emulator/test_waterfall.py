"""The waterfall of the dev page has a span for every model request, tool, filler and gap, as computed by node."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import orjson
import pytest

from layercode_app.emulator.playground.export import MODULES, STATIC
from layercode_app.emulator.playground.figures import whole
from layercode_app.journal.record import Frame, Kind, ModelCall, Speech, Stage, ToolCall, TurnRecord

from ..support import need_program

SCRIPT = """
import {{ spans }} from "{folder}/js/waterfall.js";
let text = "";
for await (const chunk of process.stdin) text += chunk;
console.log(JSON.stringify(JSON.parse(text).map((turn) => spans(turn).spans)));
"""


def filled() -> TurnRecord:
    """A filler, a tool of 4 s, and an answer that pauses for 2 s."""
    record = TurnRecord("c", "t", Kind.MESSAGE, "a", timings={"verified": 1.0, "history": 2.0, "total": 9000.0})
    record.requests = [
        ModelCall("m", 2.0, 400.0, 600.0, "done"),
        ModelCall("small", 700.0, None, 900.0, "done", stage="plan"),
        ModelCall("m", 4610.0, 5590.0, 8990.0, "done"),
    ]
    record.tools = [ToolCall("1", "search", {}, 605.0, 4605.0, "done")]
    record.stages = [Stage("plan", 650.0, 950.0, "done")]
    record.speech = [Speech("filler", 0, "One moment. "), Speech("model", 1, "It is 42 or so.")]
    pieces = [(1457.0, "One moment. "), (5600.0, "It is "), (5700.0, "42"), (7800.0, " or so.")]
    record.frames = [Frame("response.tts", text, at) for at, text in pieces] + [Frame("response.end", None, 9000.0)]
    return record


def old() -> TurnRecord:
    """A turn of a journal that knows no requests."""
    timings = {"verified": 1.0, "history": 2.0, "ttft": 300.0, "ttfs": 301.0, "total": 900.0}
    record = TurnRecord("c", "t", Kind.MESSAGE, "a", timings=timings)
    record.speech, record.frames = [Speech("model", 0, "Hi.")], [Frame("response.tts", "Hi.", 301.0)]
    return record


def failed() -> TurnRecord:
    """A request that failed before its first token, and no word."""
    record = TurnRecord("c", "t", Kind.MESSAGE, "a", timings={"verified": 1.0, "history": 2.0, "total": 500.0})
    record.requests = [ModelCall("m", 2.0, None, 499.0, "failed")]
    return record


@pytest.fixture(scope="module")
def drawn() -> list[list[dict[str, Any]]]:
    turns = orjson.dumps([whole(turn) for turn in (filled(), old(), failed())]).decode()
    script = SCRIPT.format(folder=STATIC.as_uri())
    command = [need_program("node"), "--input-type=module", "-e", script]
    done = subprocess.run(command, input=turns, capture_output=True, text=True, timeout=60, check=True)
    found: list[list[dict[str, Any]]] = json.loads(done.stdout)
    return found


def test_every_request_tool_and_filler_has_its_true_time(drawn: list[list[dict[str, Any]]]) -> None:
    bars = [(span["name"], span["from"], span["to"]) for span in drawn[0]]
    assert bars == [
        ("verify", 0, 1.0),
        ("history", 1.0, 2.0),
        ("model", 2.0, 600.0),
        ("search", 605.0, 4605.0),
        ("plan", 650.0, 950.0),
        ("plan: small", 700.0, 900.0),
        ("model 2", 4610.0, 8990.0),
        ("filler", 1457.0, 5600.0),
        ("speech", 5600.0, 7800.0),
        ("end", 9000.0, 9000.0),
    ]
    first, second = (next(span for span in drawn[0] if span["name"] == name) for name in ("model", "model 2"))
    assert (first["first"], second["first"]) == (400.0, 5590.0)


def test_speech_is_split_where_nothing_was_said(drawn: list[list[dict[str, Any]]]) -> None:
    speech = next(span for span in drawn[0] if span["name"] == "speech")
    assert speech["runs"] == [{"from": 5600.0, "to": 5700.0}, {"from": 7800.0, "to": 7800.0}]


def test_a_turn_of_an_older_journal_is_drawn_up_to_its_first_token(drawn: list[list[dict[str, Any]]]) -> None:
    bars = [(span["name"], span["from"], span["to"]) for span in drawn[1]]
    assert bars == [
        ("verify", 0, 1.0),
        ("history", 1.0, 2.0),
        ("model", 2.0, 300.0),
        ("speech", 301.0, 301.0),
        ("end", 900.0, 900.0),
    ]


def test_a_request_that_failed_is_drawn_as_failed(drawn: list[list[dict[str, Any]]]) -> None:
    (model,) = [span for span in drawn[2] if span["name"] == "model"]
    assert (model["from"], model["to"], model["bad"]) == (2.0, 499.0, True)
    assert "never came" in model["title"]


def test_the_modules_of_an_exported_page_share_no_name() -> None:
    # They are joined into one script there.
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

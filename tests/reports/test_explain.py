"""Explanations, for every way a turn can go."""

from __future__ import annotations

from typing import Any

import pytest

from layercode_app.conversation.record import Kind, Speech, Status, ToolCall, TurnRecord
from layercode_app.reports.explain import explain


def turn(spoken: str = "One two three.", *, heard: str | None = None, **given: Any) -> TurnRecord:
    values = {"status": Status.COMPLETE, "timings": {"history": 1.0, "ttft": 300.0, "ttfs": 301.0, "total": 900.0}}
    record = TurnRecord("c", "t", Kind.MESSAGE, "a", **(values | given))
    record.speech = [Speech("model", 0, spoken)] if spoken else []
    record.heard_text = heard
    return record


SLOW = {"history": 20.0, "ttft": 2500.0, "ttfs": 2501.0, "total": 3000.0}
WAITED = {"history": 10.0, "ttft": 200.0, "ttfs": 3300.0, "total": 4000.0}


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (turn(), "It went well: first speech after 301 ms."),
        (turn(status=Status.RUNNING), "It is running, or its worker died before it could end."),
        (turn(timings=SLOW), "It was slow: first speech after 2,501 ms. It waited 2,480 ms for the model's first token."),
        (
            turn(timings=SLOW, retries=2, impact="filler"),
            ("It was slow: first speech after 2,501 ms. It waited 2,480 ms for the model's first token (2 retries). "
            "A filler covered the wait."),
        ),
        (
            turn(timings=WAITED, tools=[ToolCall("1", "search", {}, 250.0, 3250.0, "done")]),
            "It was slow: first speech after 3,300 ms. It waited 3,000 ms for the tool search.",
        ),
        (
            turn(tools=[ToolCall("1", "search", {}, 400.0, 2400.0, "done")]),
            "It paused: first speech after 301 ms, but the tool search took 2,000 ms.",
        ),
        (
            turn(status=Status.FAILED, error="X", error_category="rate_limit", impact="apology", retries=2),
            "It failed with a rate limit error after 2 tries more, after 900 ms; the caller heard the apology.",
        ),
        (
            turn("", status=Status.FAILED, error="X", error_category="tool",
                 tools=[ToolCall("1", "pay", {}, 1.0, 2.0, "failed")]),
            "It failed in the tool pay with a tool error, after 900 ms; the caller heard nothing.",
        ),
        (
            turn(error_category="budget", impact="refusal"),
            "It was refused because a budget is used up; the caller heard the refusal.",
        ),
        (
            turn(status=Status.INTERRUPTED, heard="One two"),
            "It was cut: the caller spoke over it or left, and heard 2 of 3 words.",
        ),
        (
            turn(status=Status.INTERRUPTED),
            "It was cut: the caller spoke over it or left after 900 ms; how much was heard is not known.",
        ),
        (
            turn(status=Status.SUPERSEDED),
            "It was cut: the caller spoke again, and the newer turn stopped it after 900 ms.",
        ),
        (
            turn("", status=Status.SUPERSEDED, timings={"total": 2000.0}),
            ("It was silent: the caller spoke again, and the newer turn stopped it after 2,000 ms, before a word was "
            "spoken. It waited 2,000 ms for the model's first token."),
        ),
        (turn(""), "It was silent: the agent ended after 900 ms without a word."),
        (
            turn("", tools=[ToolCall("1", "note", {}, 1.0, 2.0, "done")]),
            "It was silent: it ended after 900 ms with the tool note and no words.",
        ),
    ],
)  # fmt: skip
def test_each_turn_is_explained_in_a_sentence(record: TurnRecord, said: str) -> None:
    assert explain(record) == said

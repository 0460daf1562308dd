"""Explanations, for every way a turn can go."""

from __future__ import annotations

from typing import Any

import pytest

from layercode_app.journal.record import Frame, Kind, ModelCall, Source, Speech, Stage, Status, ToolCall, TurnRecord
from layercode_app.reports.explain import account, explain, explain_json
from layercode_app.reports.words import words_of


def turn(spoken: str = "One two three.", *, heard: str | None = None, **given: Any) -> TurnRecord:
    values = {"status": Status.COMPLETE, "timings": {"history": 1.0, "ttft": 300.0, "ttfs": 301.0, "total": 900.0}}
    record = TurnRecord("c", "t", Kind.MESSAGE, "a", **(values | given))
    record.speech = [Speech("model", 0, spoken)] if spoken else []
    record.heard_text = heard
    return record


LOGS = " `layercode-create-app logs --level error` has the traceback."
SLOW = {"history": 20.0, "ttft": 2500.0, "ttfs": 2501.0, "total": 3000.0}
WAITED = {"history": 10.0, "ttft": 200.0, "ttfs": 3300.0, "total": 4000.0}


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (turn(), "It went well: first speech after 301 ms."),
        (turn(status=Status.RUNNING), "It is still running, or its worker died."),
        (turn(timings=SLOW), "It was slow: first speech after 2.5 s."),
        (
            turn(timings=SLOW, retries=2, impact="filler"),
            "It was slow: first speech after 2.5 s. A filler covered the wait.",
        ),
        (
            turn(timings=WAITED, tools=[ToolCall("1", "search", {}, 250.0, 3250.0, "done")]),
            "It was slow: first speech after 3.3 s.",
        ),
        (
            turn(tools=[ToolCall("1", "search", {}, 400.0, 2400.0, "done")]),
            "It paused: first speech after 301 ms, but the tool search took 2.0 s.",
        ),
        (
            turn(status=Status.FAILED, error="X", error_category="rate_limit", impact="apology", retries=2),
            "It failed with a rate limit error after 2 retries, after 900 ms; the caller heard the apology." + LOGS,
        ),
        (
            turn("", status=Status.FAILED, error="X", error_category="tool",
                 tools=[ToolCall("1", "pay", {}, 1.0, 2.0, "failed")]),
            "It failed in the tool pay with a tool error, after 900 ms; the caller heard nothing." + LOGS,
        ),
        (
            turn("", status=Status.FAILED, error="TimeoutError", error_category="timeout",
                 tools=[ToolCall("1", "pay", {}, 1.0, 2.0, "failed", "ModelRetry"), ToolCall("2", "pay", {}, 3.0, 4.0, "done")]),
            "It failed with a timeout error, after 900 ms; the caller heard nothing." + LOGS,
        ),
        (
            turn("", status=Status.FAILED, error="ValueError", error_category="tool",
                 tools=[ToolCall("1", "find", {}, 1.0, 2.0, "failed", "ModelRetry"),
                        ToolCall("2", "pay", {}, 3.0, 4.0, "failed", "ValueError"),
                        ToolCall("3", "note", {}, 3.0, 5.0, "failed", "ModelRetry")]),
            "It failed in the tool pay with a tool error, after 900 ms; the caller heard nothing." + LOGS,
        ),
        (
            turn(error_category="budget", impact="refusal"),
            "It was refused because a budget is used up; the caller heard the refusal.",
        ),
        (
            turn(status=Status.INTERRUPTED, heard="One two"),
            "It was cut: the caller interrupted it or left, and heard 2 of 3 words.",
        ),
        (
            turn(status=Status.INTERRUPTED),
            "It was cut: the caller interrupted it or left after 900 ms; how much was heard is not known.",
        ),
        (
            turn(status=Status.SUPERSEDED),
            "It was cut: the caller spoke again, and the newer turn stopped it after 900 ms.",
        ),
        (
            turn("", status=Status.SUPERSEDED, timings={"total": 2000.0}, requests=[ModelCall("m", 0.0)]),
            ("It was silent: the caller spoke again, and the newer turn stopped it after 2.0 s, before a word was "
            "spoken."),
        ),
        (turn(""), "It was silent: the agent ended after 900 ms without a word."),
        (
            turn("", tools=[ToolCall("1", "note", {}, 1.0, 2.0, "done")]),
            "It was silent: it ended after 900 ms without a word; its last tool was note.",
        ),
    ],
)  # fmt: skip
def test_each_turn_is_explained_in_a_sentence(record: TurnRecord, said: str) -> None:
    assert account(record) == said
    assert explain(record).startswith(said)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (turn(), "299 ms of 301 ms: the model's first token."),
        (turn(timings=SLOW, retries=2), "2.5 s of 2.5 s: the model's first token (2 retries)."),
        (
            turn(timings=WAITED, tools=[ToolCall("1", "search", {}, 250.0, 3250.0, "done")]),
            "3.0 s of 3.3 s: the tool search.",
        ),
        (turn("", timings={"total": 2000.0}, requests=[ModelCall("m", 0.0)]), "2.0 s of 2.0 s: the model request."),
        (turn(""), "600 ms of 900 ms: the rest of the answer."),
        (turn(timings={"history": 1.0, "ttft": 40.0, "ttfs": 41.0, "total": 90.0}), "first speech after 41 ms."),
        (turn(error_category="budget", impact="refusal"), "the caller heard the refusal."),
    ],
)
def test_an_explanation_ends_with_the_step_that_took_the_longest_wait(record: TurnRecord, said: str) -> None:
    assert explain(record).endswith(f" {said}")


def spoken(*pieces: tuple[float, Source, str], total: float, **given: Any) -> TurnRecord:
    """Return a turn with these pieces, each sent at its time in milliseconds."""
    record = turn("", **given)
    record.timings = {"history": 1.0, "ttfs": pieces[0][0], "total": total}
    for at, source, text in pieces:
        record.frames.append(Frame("response.tts", text, at))
        if record.speech and record.speech[-1].source == source:
            record.speech[-1].text += text
        else:
            record.speech.append(Speech(source, 0, text))
    record.frames.append(Frame("response.end", None, total))
    return record


def asked(*times: tuple[float, float | None, float], **given: Any) -> list[ModelCall]:
    return [ModelCall("m", start, first, end, "done", **given) for start, first, end in times]


FILLED = spoken(
    (1457.0, "filler", "One moment. "), (5600.0, "model", "It is "), (5650.0, "model", "42."),
    total=5700.0, impact="filler",
    requests=asked((2.0, 400.0, 600.0), (4610.0, 5590.0, 5690.0)),
    tools=[ToolCall("1", "search", {}, 605.0, 4605.0, "done")],
)  # fmt: skip


def test_a_filler_does_not_hide_what_the_answer_waited_for() -> None:
    assert explain(FILLED) == (
        "It was slow: a filler after 1.5 s, the answer after 5.6 s. A filler covered the wait. "
        "4.0 s of 5.6 s: the tool search; 990 ms: the second model request; 598 ms: the first model request."
    )


def test_a_model_that_pauses_in_mid_sentence_did_not_go_well() -> None:
    paused = spoken(
        (300.0, "model", "It is "), (2400.0, "model", "42."), total=2500.0, requests=asked((2.0, 290.0, 2490.0))
    )
    assert explain(paused) == (
        "It paused: first speech after 300 ms, but 2.1 s of silence after 300 ms (the model request). "
        "2.1 s of 2.1 s: the model request."
    )


def test_a_tool_between_two_sentences_is_named_with_its_own_time() -> None:
    paused = spoken(
        (300.0, "model", "Let me see. "), (4400.0, "model", "It is 42."), total=4500.0,
        requests=asked((2.0, 290.0, 350.0), (3360.0, 4390.0, 4490.0)),
        tools=[ToolCall("1", "search", {}, 351.0, 3351.0, "done")],
    )  # fmt: skip
    assert explain(paused) == (
        "It paused: first speech after 300 ms, but 4.1 s of silence after 300 ms (the tool search). "
        "3.0 s of 4.1 s: the tool search; 1.0 s: the second model request."
    )


@pytest.mark.parametrize(("result", "word"), [("timed out", "timed out"), ("ValueError", "failed")])
def test_a_tool_that_failed_is_named_although_the_turn_was_answered(result: str, word: str) -> None:
    record = spoken(
        (300.0, "model", "It is 42."), total=400.0,
        requests=asked((2.0, 290.0, 390.0)), tools=[ToolCall("1", "search", {}, 10.0, 210.0, "failed", result)],
    )  # fmt: skip
    assert account(record) == f"It was answered: first speech after 300 ms. The tool search {word} after 200 ms."


def test_an_agent_without_a_model_waited_for_no_model() -> None:
    hook = spoken((2300.0, "say", "Done."), total=2310.0)
    assert explain(hook) == "It was slow: first speech after 2.3 s. 2.3 s of 2.3 s: the agent's own code."
    hook.stages = [Stage("look up", 10.0, 2010.0, "done")]
    assert "2.0 s of 2.3 s: the stage look up." in explain(hook)
    assert "model" not in explain(hook)
    hook.stages = [Stage("stage order", 10.0, 2010.0, "done")]
    assert "2.0 s of 2.3 s: the stage order." in explain(hook)


def test_every_model_request_and_a_failed_one_are_steps() -> None:
    failed = ModelCall("gpt-5-mini", 2.0, None, 1002.0, "failed")
    record = spoken(
        (2300.0, "model", "Done."), total=2310.0, requests=[failed, *asked((1210.0, 2290.0, 2305.0))], retries=1
    )
    assert explain(record) == (
        "It was slow: first speech after 2.3 s. 1.1 s of 2.3 s: the second model request; "
        "1.0 s: a failed request to gpt-5-mini."
    )
    steps = explain_json(record)["steps"]
    assert [(step["name"], step["started_ms"], step["first_ms"], step["ended_ms"]) for step in steps] == [
        ("history", 0.0, None, 1.0),
        ("prepare", 1.0, None, 2.0),
        ("model", 2.0, None, 1002.0),
        ("between", 1002.0, None, 1210.0),
        ("model 2", 1210.0, 2290.0, 2305.0),
        ("finish", 2305.0, None, 2310.0),
    ]


def test_a_helper_beside_the_model_is_not_what_the_answer_waited_for() -> None:
    record = spoken((2000.0, "model", "Done."), total=2010.0, requests=asked((2.0, 1990.0, 2005.0)))
    record.requests += asked((2.0, None, 1900.0), stage="guard")
    record.stages = [Stage("guard", 2.0, 1900.0, "done")]
    assert explain(record) == "It was slow: first speech after 2.0 s. 2.0 s of 2.0 s: the model request."


def test_each_piece_of_speech_knows_its_source() -> None:
    assert [(word.at_ms, word.source) for word in words_of(FILLED)] == [
        (1457.0, "filler"),
        (5600.0, "model"),
        (5650.0, "model"),
    ]

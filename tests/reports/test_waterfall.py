"""The waterfall: each millisecond of a turn belongs to one step, and the verdict names the longest step."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layercode_app.journal.record import Frame, Kind, ModelCall, Speech, Stage, Status, ToolCall, TurnRecord
from layercode_app.reports.explain import account, explain
from layercode_app.reports.waterfall import waterfall_of
from layercode_app.reports.waterfall_rows import Bar, Mark, marks_of, rows_of
from layercode_app.reports.words import Said


def two_requests() -> TurnRecord:
    """Two model requests of 1.2 s, a tool of 0.8 s between them, and a filler after 0.7 s."""
    record = TurnRecord("c", "t", Kind.MESSAGE, "a", status=Status.COMPLETE)
    record.timings = {"verified": 1.0, "history": 4.0, "ttft": 1100.0, "ttfs": 700.0, "total": 3220.0}
    record.requests = [
        ModelCall("m", 6.0, 1100.0, 1206.0, "done", usage={"requests": 1, "input_tokens": 90, "output_tokens": 9}),
        ModelCall("m", 2010.0, 3100.0, 3210.0, "done", usage={"requests": 1, "input_tokens": 120, "output_tokens": 7}),
    ]
    record.tools = [ToolCall("1", "search", {}, 1208.0, 2008.0, "done")]
    record.speech = [Speech("filler", 0, "One moment. "), Speech("model", 2, "It is 42.")]
    record.frames = [
        Frame("response.tts", "One moment. ", 700.0),
        Frame("response.tts", "It is ", 3100.0),
        Frame("response.tts", "42.", 3150.0),
        Frame("response.end", None, 3220.0),
    ]
    return record


def test_the_steps_add_up_to_the_turn_and_what_is_left_over_is_named() -> None:
    waterfall = waterfall_of(two_requests())
    assert [(step.name, step.own_ms) for step in waterfall.steps] == [
        ("verify", 1.0),
        ("history", 3.0),
        ("prepare", 2.0),
        ("model", 1200.0),
        ("between", 4.0),
        ("search", 800.0),
        ("model 2", 1200.0),
        ("finish", 10.0),
    ]
    assert sum(step.own_ms for step in waterfall.steps) == waterfall.total_ms == 3220.0
    assert [step.runs for step in waterfall.steps if step.kind == "rest"] == [
        [(4.0, 6.0)],
        [(1206.0, 1208.0), (2008.0, 2010.0)],
        [(3210.0, 3220.0)],
    ]


def test_the_verdict_is_on_the_wait_for_the_answer_and_explain_says_the_same() -> None:
    record = two_requests()
    record.requests[0].ended_ms, record.tools[0].started_ms = 1106.0, 1108.0
    waterfall = waterfall_of(record)
    assert (waterfall.first_word_ms, waterfall.answer_ms) == (700.0, 3100.0)
    assert waterfall.verdict is not None
    assert waterfall.verdict.text == "1.1 s of 3.1 s: the first model request"
    assert waterfall.verdict.window == "until the first word of the answer"
    assert waterfall.verdict.others == ("1.1 s: the second model request", "900 ms: the tool search")
    assert explain(record) == f"{account(record)} {waterfall.verdict}"


def test_what_fillers_covered_and_what_was_said_are_rows_apart() -> None:
    assert waterfall_of(two_requests()).said == [
        Said("filler", [(700.0, 3100.0)], [700.0], 0),
        Said("speech", [(3100.0, 3150.0)], [3100.0, 3150.0], 1),
    ]


def test_speech_is_split_where_nothing_was_said() -> None:
    record = two_requests()
    late = [Frame("response.tts", "More.", 4000.0), Frame("response.tts", "Filled.", 5000.0)]
    record.frames[3:] = [*late, Frame("response.tts", "Last.", 6000.0)]
    record.speech += [Speech("model", 2, "More."), Speech("filler", 2, "Filled."), Speech("model", 2, "Last.")]
    record.timings["total"] = 6100.0
    filler, speech = waterfall_of(record).said
    assert filler.runs == [(700.0, 3100.0), (5000.0, 6000.0)]
    assert speech.runs == [(3100.0, 3150.0), (4000.0, 4000.0), (6000.0, 6000.0)]


def test_the_end_of_the_turn_is_no_silence_but_a_tool_after_the_last_word_is() -> None:
    record = two_requests()
    record.timings["total"] = 9000.0
    found = waterfall_of(record).verdict
    assert found is not None
    assert found.window == "until the first word of the answer"
    record.tools.append(ToolCall("2", "note", {}, 3215.0, 8990.0, "done"))
    found = waterfall_of(record).verdict
    assert found is not None
    assert (found.text, found.window) == ("5.8 s of 5.8 s: the tool note", "of the silence after 3.1 s")


def test_a_helper_within_a_tool_takes_no_time_from_it() -> None:
    record = two_requests()
    record.requests.append(ModelCall("small", 1300.0, None, 1900.0, "done", stage="plan"))
    record.stages = [Stage("plan", 1250.0, 1950.0, "done")]
    own = {step.name: step.own_ms for step in waterfall_of(record).steps}
    assert (own["search"], own["plan"], own["plan: small"]) == (800.0, 0.0, 0.0)


def test_of_two_tools_at_once_the_later_one_is_what_the_turn_waited_for() -> None:
    record = two_requests()
    record.tools.append(ToolCall("2", "price", {}, 1208.0, 1500.0, "done"))
    own = {step.name: step.own_ms for step in waterfall_of(record).steps}
    assert (own["search"], own["price"]) == (800.0, 0.0)


TIMES = st.tuples(st.floats(0, 5000), st.floats(0, 5000)).map(lambda pair: tuple(sorted(pair)))


def made_of(total: float, parts: list[tuple[str, tuple[Any, ...]]]) -> TurnRecord:
    record = TurnRecord("c", "t", Kind.MESSAGE, "a", timings={"history": 3.0, "total": total})
    for kind, (start, end) in parts:
        if kind == "tool":
            record.tools.append(ToolCall("1", "search", {}, start, end, "done"))
        elif kind == "stage":
            record.stages.append(Stage("plan", start, end, "done"))
        else:
            record.requests.append(ModelCall("m", start, start, end, "done", stage="" if kind == "model" else "plan"))
    return record


@given(
    st.floats(10, 5000), st.lists(st.tuples(st.sampled_from(["model", "tool", "stage", "helper"]), TIMES), max_size=9)
)
def test_whatever_overlaps_the_steps_add_up_to_the_turn(total: float, parts: list[tuple[str, tuple[Any, ...]]]) -> None:
    waterfall = waterfall_of(made_of(total, parts))
    assert sum(step.own_ms for step in waterfall.steps) == pytest.approx(total)
    assert all(step.own_ms >= 0 for step in waterfall.steps)


def test_a_turn_that_still_runs_ends_where_its_record_does() -> None:
    record = TurnRecord("c", "t", Kind.MESSAGE, "a", timings={"history": 3.0})
    record.requests = [ModelCall("m", 4.0, 250.0)]
    waterfall = waterfall_of(record)
    assert waterfall.total_ms == 250.0
    assert [(step.name, step.ended_ms, step.status) for step in waterfall.steps] == [
        ("history", 3.0, "done"),
        ("prepare", 4.0, "done"),
        ("model", 250.0, "running"),
    ]


def test_the_rows_are_the_bars_of_the_steps_and_of_the_speech() -> None:
    waterfall = waterfall_of(two_requests())
    rows = {row.name: row for row in rows_of(waterfall)}
    assert [*rows] == [*(step.name for step in waterfall.steps), "filler", "speech"]
    assert rows["model"].bars == [Bar(6.0, 1100.0, pale=True), Bar(1100.0, 1206.0)]
    assert (rows["model"].color, rows["search"].color, rows["finish"].color) == ("model", "tool", "rest")
    assert (rows["filler"].took_ms, rows["filler"].at, rows["filler"].bars[0].pale) == (2400.0, False, True)
    assert (rows["speech"].took_ms, rows["speech"].at) == (3100.0, True)
    assert rows["speech"].label == "sent in 2 pieces, to be spoken"
    assert marks_of(waterfall) == [Mark("first word", 700.0), Mark("answer", 3100.0)]


def test_long_speech_marks_a_part_of_its_pieces() -> None:
    record = two_requests()
    record.frames[2:3] = [Frame("response.tts", "a", 3100.0 + number) for number in range(200)]
    assert 40 < len(rows_of(waterfall_of(record))[-1].ticks) <= 60

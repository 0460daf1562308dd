"""A turn's record survives a round trip through a store unchanged, whatever its content or its version is."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import orjson
import pytest

from layercode_app.journal.record import (
    Frame,
    Kind,
    ModelCall,
    Speech,
    Stage,
    Status,
    ToolCall,
    TurnRecord,
    assign,
    clone,
)
from layercode_app.journal.record_json import dump_frames, dump_head, from_json, load_record, to_json


def full() -> TurnRecord:
    return TurnRecord(
        "c",
        "t",
        Kind.GREETING,
        "a",
        status=Status.INTERRUPTED,
        speech=[Speech("model", 1, "hi")],
        tools=[ToolCall("1", "n", {"x": 1}, 1.0)],
        notes=["n"],
        timings={"total": 1.5},
        heard_text="h",
        position=7,
        messages=b"m",
        frames=[Frame("response.end", None, 2.0)],
    )


def loaded(record: TurnRecord) -> TurnRecord:
    return load_record(
        dump_head(record), position=record.position, messages=record.messages, frames=dump_frames(record)
    )


def test_a_record_comes_back_as_it_was() -> None:
    assert loaded(full()) == clone(full()) == full()


def test_a_copy_shares_no_list_with_its_original() -> None:
    record, other = full(), TurnRecord("x", "y", Kind.MESSAGE, "b")
    copy = clone(record)
    assign(other, record)
    for changed in (copy, other):
        changed.notes.append("more")
        changed.tools[0].status = "done"
        changed.timings["ttfs"] = 1.0
        changed.frames.clear()
    assert record == full()


def test_a_head_of_a_newer_or_an_older_version_is_read() -> None:
    values = {**asdict(full()), "retries": 2}
    del values["impact"], values["position"], values["messages"], values["frames"]
    read = load_record(orjson.dumps({**values, "new_field": 1}), position=7)
    assert (read.impact, read.retries, read.heard_text, read.position) == ("nothing", 2, "h", 7)


def test_parts_of_a_newer_version_or_of_an_export_are_read() -> None:
    record = full()
    record.stages = [Stage("plan", 1.0)]
    record.requests = [ModelCall("m", 1.0, usage={"requests": 1}, cost=0.5)]
    values = asdict(record)
    for name in ("speech", "tools", "stages", "requests"):
        values[name] = [part | {"cost_is_partial": False, "new": 1} for part in values[name]]
    read = load_record(
        orjson.dumps({name: value for name, value in values.items() if name not in ("messages", "frames")}), position=7
    )
    for name in ("speech", "tools", "stages", "requests"):
        assert getattr(read, name) == getattr(record, name)


def test_a_copy_shares_no_request_with_its_original() -> None:
    record = full()
    record.requests = [ModelCall("m", 1.0, usage={"requests": 1})]
    copy = clone(record)
    copy.requests[0].usage["requests"] = 2
    copy.requests[0].status = "done"
    assert record.requests == [ModelCall("m", 1.0, usage={"requests": 1})]


def test_a_head_leaves_out_what_is_as_it_was_at_first_and_nothing_else() -> None:
    plain = TurnRecord("c", "t", Kind.MESSAGE, "a")
    assert not {"notes", "tools", "state", "cost", "error", "impact", "speech"} & orjson.loads(dump_head(plain)).keys()
    assert loaded(plain) == plain
    # These values are empty, but they are not the defaults. For example, an empty `heard_text` says that nothing was
    # heard, and a `cost` of 0.0 says that the turn is known to have cost nothing.
    empty = replace(plain, heard_text="", cost=0.0, state={}, error="", ended_at=0.0, attempt=0, impact="")
    assert loaded(empty) == empty
    written = orjson.loads(dump_head(replace(empty, notes=["x"], outcomes=["x"])))
    assert written.keys() >= {"heard_text", "cost", "state", "error", "notes", "outcomes"}


def test_every_field_is_written() -> None:
    record = TurnRecord("c", "t", Kind.MESSAGE, "a")
    bodies = {"position", "messages", "frames", "speech", "tools", "stages", "requests", "kind", "status"}
    for field in fields(TurnRecord):
        if field.name not in bodies:
            setattr(record, field.name, f"<{field.name}>")
    assert loaded(record) == record


@dataclass
class Order:
    amount: float


ODD: list[tuple[Any, Any]] = [
    ({"big": 1 << 70}, {"big": str(1 << 70)}),
    ({"huge": 1 << 20_000}, {"huge": hex(1 << 20_000)}),
    ({"text": "cut \ud83d"}, {"text": "cut \ufffd"}),
    ({"halves \ud83d": "\ud83d\ude00"}, {"halves \ufffd": "\U0001f600"}),
    ({1: "a", (2, 3): "b"}, {"1": "a", "(2, 3)": "b"}),
    ({"when": Order(1.5), "set": {1}}, {"when": {"amount": 1.5}, "set": "{1}"}),
    ({1: [Order(float("inf")), float("nan"), None, True]}, {"1": [{"amount": None}, None, None, True]}),
]


@pytest.mark.parametrize(("value", "expected"), ODD)
def test_what_json_has_no_word_for_is_kept_all_the_same(value: Any, expected: Any) -> None:
    assert from_json(to_json(value)) == expected
    record = full()
    record.tools[0].result = value
    record.frames = [Frame("response.data", value)]
    read = loaded(record)
    assert read.tools[0].result == read.frames[0].content == expected

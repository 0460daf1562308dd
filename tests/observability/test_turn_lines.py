"""The canonical line of a turn is written without Loguru, unless other code has added a handler to Loguru.

With and without Loguru, the line is the same.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger

from layercode_app.journal.record import Kind, Status, TurnRecord
from layercode_app.observability import context, logs
from layercode_app.observability.json_lines import Clock
from layercode_app.observability.privacy import masking
from layercode_app.observability.turns import turn_finished

Written: TypeAlias = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def written(capsysbinary: pytest.CaptureFixture[bytes]) -> Iterator[Written]:
    """Configure JSON logs on stdout. Yield a function that returns the lines since its last call."""
    masking.configure(secrets=["test-very-secret"])
    logs.configure(log_format="json", log_dir="", common={"service": "shop", "version": "1.2.3"})
    yield lambda: [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    masking.configure()
    logger.remove()


def finish(timings: dict[str, float] | None = None, agent: str = "echo", **more: Any) -> None:
    record = TurnRecord("c", "t", Kind.MESSAGE, agent, session_id="s", status=Status.COMPLETE, **more)
    record.timings = {"ttfs": 1.6, "total": 2.7} if timings is None else timings
    with context.within(record):
        turn_finished(record)


def test_both_ways_write_the_same_line(written: Written) -> None:
    finish(usage={"input_tokens": 3})
    heard: list[str] = []
    number = logger.add(heard.append, format="{message}")
    finish(usage={"input_tokens": 3})
    logger.remove(number)

    short, long = written()
    assert heard == ["turn complete in 3 ms, first speech after 2 ms\n"]
    assert {**short, "time": ""} == {**long, "time": ""}
    assert list(short) == list(long)
    assert short["logger"] == "layercode_app.observability.turns"
    assert (short["service"], short["agent"], short["turn_id"], short["total_ms"]) == ("shop", "echo", "t", 2.7)


def test_turns_that_end_together_are_written_together_and_in_order(
    written: Written,
) -> None:
    async def end_three() -> None:
        finish(model="first")
        finish(model="second")
        assert written() == []  # until the next iteration of the event loop
        logger.info("in between")
        assert [line.get("model") for line in written()] == ["first", "second", None]
        finish(model="third")
        await asyncio.sleep(0)
        assert [line["model"] for line in written()] == ["third"]
        finish(model="fourth")
        logs.flush()  # as at the end of the process
        assert [line["model"] for line in written()] == ["fourth"]

    asyncio.run(end_three())


def test_the_lines_of_turns_that_ended_last_are_in_the_file_of_each_agent(tmp_path: Path) -> None:
    logs.configure(log_format="json", log_dir=str(tmp_path), per_agent=True)

    async def end_some() -> None:
        for agent in ("echo", "echo", "bakery", "echo"):
            finish(agent=agent)

    asyncio.run(end_some())
    logs.flush()
    found = {path.parent.name: path.read_text().splitlines() for path in tmp_path.rglob("*.log")}
    assert {folder: len(lines) for folder, lines in found.items()} == {tmp_path.name: 4, "echo": 3, "bakery": 1}
    assert [json.loads(line)["agent"] for line in found[tmp_path.name]] == ["echo", "echo", "bakery", "echo"]
    logger.remove()


def test_the_line_of_a_turn_without_speech_says_so(written: Written) -> None:
    finish({"total": 0.961})
    assert written()[0]["message"] == "turn complete in 1 ms, nothing was said"


def test_the_versions_of_the_service_and_of_the_agent_are_both_on_the_line(written: Written) -> None:
    finish(fingerprint="a1b2c3")
    logger.add(lambda _: None)
    finish(fingerprint="a1b2c3")
    logger.info("another line")
    short, long, other = written()
    assert [line["version"] for line in (short, long, other)] == ["1.2.3"] * 3
    assert [line.get("agent_version") for line in (short, long, other)] == ["a1b2c3", "a1b2c3", None]


@pytest.mark.parametrize("word", ["test-very-secret", "+1 415 555 2671", "415-555-2671", "Bearer abcdef123456"])
def test_the_short_way_shows_no_more(written: Written, word: str) -> None:
    finish(model=f"model-{word}")
    [line] = written()
    assert word not in line["model"]


def test_a_level_above_info_leaves_the_line_out(written: Written) -> None:
    logs.configure(level="WARNING", log_format="json", log_dir="")
    finish()
    assert written() == []


WORDS = [
    "test-very-secret",
    "+1 415 555 2671",
    "415-555-2671",
    "Bearer abcdef123456",
    "sk-abcdefghijklmnop",
    "\N{FULLWIDTH DIGIT FOUR}15-555-2671",
]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("field", ["conversation_id", "session_id", "turn_id", "agent", "error_category"])
def test_the_short_way_shows_no_more_in_an_id(written: Written, field: str, word: str) -> None:
    record = TurnRecord("c", "t", Kind.MESSAGE, "echo", session_id="s", status=Status.COMPLETE)
    setattr(record, field, f"id-{word}")
    with context.within(record):
        turn_finished(record)
    [line] = written()
    assert word not in json.dumps(line, ensure_ascii=False)


@pytest.mark.parametrize("word", [*WORDS, 'Token: "abcdef', "api_key=abcdef"])
def test_the_short_way_shows_no_more_of_a_request(written: Written, word: str) -> None:
    headers = {"user-agent": word, "authorization": word}
    for method, path in (("POST", f"/{word}"), (f"P {word}", "/api/agent")):
        token = context.request.set(context.Request(method, path, 0.0, headers))
        finish()
        context.request.reset(token)
    for line in written():
        assert word not in json.dumps(line, ensure_ascii=False)


def test_a_secret_of_the_turn_is_found_where_a_text_was_clean_before(written: Written) -> None:
    finish(model="model-of-the-caller")
    finish(model="model-of-the-caller", metadata={"token": "model-of-the-caller"})
    before, after = written()
    assert (before["model"], after["model"]) == ("model-of-the-caller", masking.MASK)


@given(st.text(alphabet="0123456789+-. ()=@\"'\\abkprsxotghpylf_v:/ßBearer"))
def test_a_quick_look_says_clean_only_of_what_is(text: str) -> None:
    assert masking.is_clean(text) == (masking.clean(text) == text)


def test_the_time_is_what_datetime_says(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    for moment in (1_700_000_000.000001, 1_700_000_000.999999, 1_700_000_001.5, 1_700_000_000.25):
        monkeypatch.setattr(time, "time_ns", lambda moment=moment: round(moment * 1e6) * 1000)
        assert clock.now() == datetime.fromtimestamp(moment).astimezone().isoformat()


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError


def test_bound_values_replace_no_field_of_ours(written: Written) -> None:
    own = {"time": "19:00", "level": "gold", "message": "hi", "service": "taxi", "exception": "none", "turn_id": 7}
    with context.within(TurnRecord("c", "t", Kind.MESSAGE, "echo", session_id="s")):
        logger.bind(agent="echo", name="Ann").warning("booked", **own)
    logger.info("moved", turn_id=7, time="19:00")
    line, moved = written()
    assert (line["level"], line["message"], line["service"], line["turn_id"]) == ("WARNING", "booked", "shop", "t")
    assert {name: line[f"{name}_"] for name in own} == own
    assert (line["agent"], line["name"], "agent_" in line) == ("echo", "Ann", False)
    assert moved["turn_id"] == 7
    assert moved["time"] != "19:00"


def test_a_value_without_a_text_loses_no_line(written: Written) -> None:
    logger.info("token=test-1234", thing=Unprintable(), things=[Unprintable()], more={1: 2**70})
    logger.info("more", thing=Unprintable())
    first, second = written()
    assert first["things"] == [first["thing"]] == ["<Unprintable without a text>"]
    assert second["thing"] == first["thing"]

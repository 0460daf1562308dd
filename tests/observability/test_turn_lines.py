"""The canonical line of a turn takes a short way past Loguru where nobody else listens: the line is the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest
from loguru import logger

from layercode_app.conversation.record import Kind, Status, TurnRecord
from layercode_app.observability import context, logs, redaction
from layercode_app.observability.turns import turn_finished

Written: TypeAlias = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def written(capsysbinary: pytest.CaptureFixture[bytes]) -> Iterator[Written]:
    """What was written to stdout meanwhile."""
    redaction.configure(secrets=["test-very-secret"])
    logs.configure(log_format="json", log_dir="", common={"service": "shop", "version": "1.2.3"})
    yield lambda: [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    redaction.configure()
    logger.remove()


def finish(**more: Any) -> None:
    record = TurnRecord("c", "t", Kind.MESSAGE, "echo", session_id="s", status=Status.COMPLETE, **more)
    record.timings = {"ttfs": 1.5, "total": 2.5}
    with context.within(record):
        turn_finished(record)


def test_both_ways_write_the_same_line(written: Written) -> None:
    finish(usage={"input_tokens": 3})
    heard: list[str] = []
    number = logger.add(heard.append, format="{message}")
    finish(usage={"input_tokens": 3})
    logger.remove(number)

    short, long = written()
    assert heard == ["turn complete in 2.5 ms, first speech after 1.5 ms\n"]
    assert {**short, "time": ""} == {**long, "time": ""}
    assert list(short) == list(long)
    assert short["logger"] == "layercode_app.observability.turns"
    assert (short["service"], short["agent"], short["turn_id"], short["total_ms"]) == ("shop", "echo", "t", 2.5)


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

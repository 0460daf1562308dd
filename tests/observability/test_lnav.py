"""The lnav log format in docs/ parses the log lines that the server writes."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from layercode_app.journal.record import Kind, ModelCall, Status, TurnRecord
from layercode_app.observability import context, logs
from layercode_app.observability.turns import turn_finished

from ..support import need_program

FORMAT = Path(__file__).parents[2] / "docs" / "lnav" / "layercode.json"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A log file with a turn, an error with its traceback, and a plain line."""
    common = {"service": "shop", "version": "1.2.3", "environment": "production"}
    logs.configure(log_format="json", log_dir=str(tmp_path / "logs"), common=common)
    record = TurnRecord("c", "turn-1", Kind.MESSAGE, "shop", session_id="s", status=Status.FAILED)
    record.timings = {"ttfs": 1.5, "ttft": 1.4, "total": 2.5}
    record.error_category, record.error_detail = "bad_request", "HTTP 400"
    record.requests = [ModelCall(name, 0.0, usage={"requests": 1, "input_tokens": 5}) for name in ("a", "b")]
    with context.within(record):
        turn_finished(record)
        try:
            raise ValueError("no")
        except ValueError as error:
            logger.opt(exception=error).error("The turn failed")
    logger.warning("A line of its own")
    logger.remove()
    (file,) = (tmp_path / "logs").glob("*.log")
    return file


def fields_of(line: Any, before: str = "") -> set[str]:
    """Return the names of a line's fields. A field within an exception is named by its path: `exception/type`."""
    found: set[str] = set()
    for name, value in line.items():
        nested = name == "exception"
        found |= fields_of(value, f"{before}{name}/") if nested else {before + name}
    return found


def test_every_field_of_a_line_is_described(written: Path) -> None:
    described = json.loads(FORMAT.read_text())["layercode_log"]
    known = {*described["value"], described["timestamp-field"]}
    lines = [json.loads(line) for line in written.read_text().splitlines()]
    assert [line["level"] for line in lines] == ["INFO", "ERROR", "WARNING"]
    for line in lines:
        assert fields_of(line) <= known
    assert re.search(described["file-pattern"], str(written))
    assert re.search(described["file-pattern"], "logs/shop/shop.123.log")


def test_lnav_reads_them(written: Path, tmp_path: Path) -> None:
    lnav = need_program("lnav")

    def run(*arguments: str) -> str:
        command = [lnav, *arguments]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=100,
            check=True,
            env={"HOME": str(tmp_path), "TERM": "dumb"},
        )
        return done.stdout

    run("-i", str(FORMAT))
    assert " ERROR    shop turn-1 The turn failed" in run("-n", str(written))
    query = (
        ';select log_level, log_opid, agent, status, total_ms, error, "exception/type" as exception from layercode_log'
    )
    rows = json.loads(run("-n", "-c", query, "-c", ":write-json-to -", str(written)))
    assert [tuple(row.values()) for row in rows] == [
        ("info", "turn-1", "shop", "failed", 2.5, "bad_request", None),
        ("error", "turn-1", "shop", None, None, None, "ValueError"),
        ("warning", None, None, None, None, None, None),
    ]

"""Loguru's private core has the handlers and the patcher. The logs also work in a release without this core."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from layercode_app._compat import loguru as private
from layercode_app.observability import logs


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Log only to files, and yield a function that reads the log lines."""
    logs.configure(log_dir=str(tmp_path), log_format="json")
    yield lambda: [json.loads(line) for file in tmp_path.glob("*.log") for line in file.read_text().splitlines()]
    logger.remove()
    logger.configure(patcher=lambda record: None)


@pytest.fixture(params=["shown", "hidden"])
def core(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "hidden":
        monkeypatch.setattr(private, "_core", None)
    return str(request.param)


def test_handlers_and_patcher_are_what_was_added() -> None:
    number = logger.add(lambda message: None)
    try:
        shown = private.handlers()
        assert shown is not None
        assert number in shown
        logger.configure(patcher=_patch)
        assert private.patcher() is _patch
    finally:
        logger.remove(number)
        logger.configure(patcher=lambda record: None)
    assert number not in (private.handlers() or {})


def _patch(record: Any) -> None:
    record["extra"]["size"] = "large"


@pytest.mark.usefixtures("core")
def test_removed_handlers_are_back_and_the_others_are_not_doubled(lines: Any) -> None:
    assert not logs.restore()
    logger.info("one")
    logger.remove()
    assert logs.restore()
    assert not logs.restore()
    logger.bind(extra={"size": "large"}).info("two")
    assert [(line["message"], line.get("size")) for line in lines()] == [("one", None), ("two", "large")]


@pytest.mark.usefixtures("core")
def test_a_replaced_patcher_is_ours_again(lines: Any) -> None:
    logger.configure(patcher=lambda record: None)
    logs.restore()
    logger.bind(extra={"size": "large"}).info("hello")
    assert [line["size"] for line in lines()] == ["large"]


def test_the_line_of_a_turn_is_the_same(lines: Any, core: str) -> None:
    logs.write_turn("turn complete", {"event": "turn", "total_ms": 3}, "")
    (line,) = lines()
    found = {name: line[name] for name in ("level", "message", "event", "total_ms", "logger")}
    assert found == {
        "level": "INFO", "message": "turn complete", "event": "turn", "total_ms": 3, "logger": __name__,
    }  # fmt: skip


@pytest.mark.parametrize("told", [False, True])
def test_loguru_stops_its_handlers_at_the_exit_unless_told_not_to(told: bool) -> None:
    code = f"""
from loguru import logger
from layercode_app._compat.loguru import leave_at_exit

class Sink:
    def write(self, message): ...
    def stop(self): print("stopped")

logger.add(Sink())
if {told}: leave_at_exit()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "stopped\n" * (not told)

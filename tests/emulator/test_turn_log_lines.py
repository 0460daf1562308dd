"""For the dev page, `lines_of_turn` finds the log lines of a turn in all uncompressed log files, and no other lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from layercode_app.emulator.playground import log_lines
from layercode_app.emulator.playground.log_lines import lines_of_turn
from layercode_app.wellformed import dump_json


def line(time: str, turn: str = "t1") -> bytes:
    return dump_json({"time": time, "turn_id": turn, "message": "t1"}) + b"\n"


def times(lines: list[dict[str, object]]) -> list[object]:
    return [one["time"] for one in lines]


def test_lines_of_all_files_come_in_order_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "app.1.log").write_bytes(line("3") + line("2", "t10") + b'not json of "t1"\n["t1"]\n')
    (tmp_path / "app.1.20260101.log").write_bytes(line("1"))
    (tmp_path / "app.2.log").write_bytes(line("4") + line("2"))
    (tmp_path / "app.0.log.gz").write_bytes(line("0"))
    (tmp_path / "notes.txt").write_bytes(line("0"))
    (tmp_path / "folder.log").mkdir()
    assert times(lines_of_turn(tmp_path, "t1")) == ["1", "2", "3", "4"]


def test_of_a_big_file_the_newest_bytes_are_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_lines, "NEWEST_BYTES", len(line("1")) * 2 + 5)
    (tmp_path / "app.1.log").write_bytes(b"".join(map(line, "1234")))
    assert times(lines_of_turn(tmp_path, "t1")) == ["3", "4"]


def test_where_nothing_is_logged_there_are_no_lines(tmp_path: Path) -> None:
    assert lines_of_turn(None, "t1") == []
    assert lines_of_turn(tmp_path / "gone", "t1") == []

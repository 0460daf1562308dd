"""Log files of several workers are read correctly while they are rotated."""

from __future__ import annotations

import os
from pathlib import Path

import orjson
import pytest

from layercode_app.reports.log_lines import Follower, Wanted, newest
from layercode_app.reports.log_text import details


def write(path: Path, *seconds: float, turn: str = "t") -> None:
    with path.open("ab") as file:
        for second in seconds:
            time = f"2026-01-01T00:00:{second:06.3f}+00:00"
            file.write(orjson.dumps({"time": time, "level": "INFO", "message": str(second), "turn_id": turn}) + b"\n")


def said(lines: list[dict[str, object]]) -> list[str]:
    return [str(line["message"]) for line in lines]


def test_lines_of_every_worker_and_rotated_file_come_in_order(tmp_path: Path) -> None:
    write(tmp_path / "layercode-app.1.log", 4.0, 6.0)
    write(tmp_path / "layercode-app.1.20260101T000000.log", 1.0, 3.0)
    write(tmp_path / "layercode-app.2.log", 2.0, 5.0)
    (tmp_path / "layercode-app.3.log").write_bytes(b"not json\n[1]\n")
    (tmp_path / "echo").mkdir()
    write(tmp_path / "echo" / "echo.1.log", 9.0)
    assert said(newest(tmp_path, Wanted(), limit=100)) == ["1.0", "2.0", "3.0", "4.0", "5.0", "6.0"]
    assert said(newest(tmp_path, Wanted(), limit=2)) == ["5.0", "6.0"]


def test_following_goes_on_over_a_rotation_and_with_new_workers(tmp_path: Path) -> None:
    path = tmp_path / "layercode-app.1.log"
    write(path, 1.0)
    follower = Follower(tmp_path, Wanted(turn="t"))
    assert follower.poll() == []
    write(path, 2.0)
    write(path, 2.5, turn="other")
    assert said(follower.poll()) == ["2.0"]
    write(path, 3.0)
    path.rename(tmp_path / "layercode-app.1.20260101T000000.log")
    write(path, 4.0)
    write(tmp_path / "layercode-app.2.log", 3.5)
    assert said(follower.poll()) == ["3.0", "3.5", "4.0"]
    with path.open("ab") as file:
        file.write(b'{"time": "2026-01-01T00:00:05+00:00", "turn_id":"t", "mess')
    assert follower.poll() == []
    with path.open("ab") as file:
        file.write(b'age": "5.0"}\n')
    assert said(follower.poll()) == ["5.0"]


def test_following_goes_on_in_a_truncated_file(tmp_path: Path) -> None:
    path = tmp_path / "layercode-app.1.log"
    write(path, 1.0, 2.0)
    follower = Follower(tmp_path, Wanted())
    os.truncate(path, 0)
    write(path, 3.0)
    assert said(follower.poll()) == ["3.0"]
    os.truncate(path, 0)
    write(path, 4.0, 5.0, 6.0)
    assert said(follower.poll()) == ["4.0", "5.0", "6.0"]
    os.truncate(path, 10)
    assert follower.poll() == []
    with path.open("ab") as file:
        file.write(b"\n")
    write(path, 7.0)
    assert said(follower.poll()) == ["7.0"]


def test_a_new_file_with_the_inode_of_a_deleted_one_is_read_from_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = os.stat_result((0o100644, 7, *[0] * 8))
    monkeypatch.setattr("layercode_app.reports.log_lines.os.fstat", lambda _: same)
    path = tmp_path / "layercode-app.1.log"
    write(path, 1.0, 2.0)
    follower = Follower(tmp_path, Wanted())
    path.unlink()
    write(tmp_path / "layercode-app.2.log", 3.0, 4.0, 5.0)
    assert said(follower.poll()) == ["3.0", "4.0", "5.0"]
    assert follower.poll() == []


def test_a_turns_figures_are_written_for_people() -> None:
    usage = {"requests": 2, "input_tokens": 120, "output_tokens": 30, "cache_read_tokens": 64, "unpriced_requests": 1}
    line = {"time": "x", "message": "m", "event": "turn", "model": "small", "usage": usage, "cost": 0.02, "error": None}
    assert details(line) == 'event=turn model=small requests=2 tokens=120+30 cached=64 cost="at least $0.0200"'
    assert details(line | {"cost": None}).endswith("cost=unknown")
    assert details(line | {"cost": None, "model": "offline"}).endswith("cost=$0")
    assert details({"usage": {}, "headers": {"user-agent": "a b", "x": ""}}) == 'headers.user-agent="a b"'

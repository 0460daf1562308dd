"""Log files: accepted and refused rules, rotation by several workers, retention, and a full disk."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from layercode_app import ConfigurationError
from layercode_app.observability.log_files import RotatingFile, parse_retention, parse_rotation

from ..full_disk import needs_mounts
from ..processes import ROOT
from .observed import observed

pytestmark = pytest.mark.anyio

WORKER = """
import sys
from loguru import logger
from layercode_app.observability import logs
logs.configure(log_dir=sys.argv[1], log_format="json", rotation="100 KB", retention="1 hour")
logger.remove(1)
logs.configure(log_dir=sys.argv[1], rotation="100 KB", retention="1 hour", level="INFO")
for number in range(int(sys.argv[3])):
    logger.bind(worker=sys.argv[2], number=number).info("a line of the usual length, so that files fill and rotate")
"""


@pytest.mark.slow
def test_four_workers_that_rotate_every_100_kb_lose_none_of_50_000_lines(tmp_path: Path) -> None:
    dead = tmp_path / "layercode-app.999999999.log"
    rotated = tmp_path / "layercode-app.999999999.2020-01-01_00-00-00_000000.log"
    fresh = tmp_path / "layercode-app.999999998.log"
    foreign = tmp_path / "notes.txt"
    for path in (dead, rotated, fresh, foreign):
        path.write_text("{}\n")
    for path in (dead, rotated, foreign):
        os.utime(path, (time.time() - 7200,) * 2)

    script = "import sys; sys.stderr = open('/dev/null', 'w')\n" + WORKER
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path), str(number), "12500"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for number in range(4)
    ]
    assert [worker.wait(110) for worker in workers] == [0] * 4

    assert not dead.exists()
    assert not rotated.exists()
    assert fresh.exists()
    assert foreign.exists()
    fresh.unlink()
    files = list(tmp_path.glob("layercode-app.*.log"))
    assert len(files) > 4 * 20
    assert max(path.stat().st_size for path in files) <= 100_000
    lines = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    assert len(lines) == 50_000
    assert {(line["worker"], line["number"]) for line in lines} == {(str(w), n) for w in range(4) for n in range(12500)}


@pytest.mark.parametrize("text", ["500 MB", "100KB", "1 GiB", "1 day", "12 hours", "00:00", "1 week, 2 days"])
def test_rules_of_rotation_are_understood(text: str) -> None:
    assert parse_rotation(text)(10**12, 0.0, 10.0**10)
    assert not parse_rotation(text)(0, 1000.0, 1000.0)


@pytest.mark.parametrize("text", ["banana", "", "MB", "5", "-1 MB", "5 bananas", "25:00", "1 day banana", "0 MB"])
def test_others_are_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigurationError, match="LOG_ROTATION"):
        parse_rotation(text)
    with pytest.raises(ConfigurationError, match="LOG_RETENTION"):
        parse_retention(text)


def test_a_full_disk_is_one_warning_and_one_word_when_it_is_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layercode_app.observability.log_files.RETRY_SECONDS", 0.0)
    full = tmp_path / f"app.{os.getpid()}.log"
    full.symlink_to("/dev/full")
    file = RotatingFile(tmp_path, "app", rotation="1 MB", retention="1 day")
    for _ in range(5):
        file.write(b"{}\n")
    assert capsys.readouterr().err.count("WARNING") == 1
    full.unlink()
    for _ in range(5):
        file.write(b"{}\n")
    assert capsys.readouterr().err.count("is writable again") == 1
    file.close()
    assert full.read_text() == "{}\n" * 5


def test_of_several_lines_those_that_fit_on_the_disk_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = RotatingFile(tmp_path, "app", rotation="1 MB", retention="1 day")
    file.write(b"before\n")
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:9]))
    file.write(b"fits\ndoes not fit\n")
    monkeypatch.undo()
    file._retry_at = 0
    file.write(b"after\n")
    file.close()
    (log,) = tmp_path.glob("app.*.log")
    assert log.read_bytes() == b"before\nfits\nafter\n"


def test_a_file_that_somebody_moved_is_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layercode_app.observability.log_files.CHECK_SECONDS", 0.0)
    file = RotatingFile(tmp_path, "app", rotation="1 MB", retention="1 day")
    file.write(b"1\n")
    (tmp_path / f"app.{os.getpid()}.log").rename(tmp_path / "moved")
    file.write(b"2\n")
    file.close()
    assert (tmp_path / "moved").read_text() == "1\n"
    assert (tmp_path / f"app.{os.getpid()}.log").read_text() == "2\n"


def line(age: float) -> str:
    return json.dumps(
        {"time": datetime.fromtimestamp(time.time() - age).astimezone().isoformat()}, separators=(",", ":")
    )


@pytest.mark.parametrize(
    ("first", "rotation", "rotated"),
    [
        # A server that is restarted every few minutes, under the same process id, as in a container.
        (line(2 * 3600), "1 hour", True),
        (line(30 * 60), "1 hour", False),
        (line(25 * 3600), "00:00", True),
        (line(11 * 86400), "500 MB", True),
        (line(9 * 86400), "500 MB", False),
        (line(-86400), "1 day", False),
        ("{} no time of ours", "1 hour", False),
        ('{"time":"yesterday"}', "1 hour", False),
    ],
    # The ids do not contain the times, because each process that collects the tests would compute other times.
    ids=["hours", "minutes", "over midnight", "days", "fewer days", "in the future", "no time", "an odd time"],
)
def test_a_file_of_an_earlier_process_is_as_old_as_its_first_line(
    first: str, rotation: str, rotated: bool, tmp_path: Path
) -> None:
    path = tmp_path / f"app.{os.getpid()}.log"
    path.write_text(f"{first}\n{line(60)}\n")
    file = RotatingFile(tmp_path, "app", rotation=rotation, retention="10 days")
    file.write(b"new\n")
    file.close()
    assert path.read_text().endswith("new\n")
    assert (path.read_text() == "new\n") is rotated
    assert len(list(tmp_path.glob("app.*.log"))) == 1 + rotated


def test_rotated_files_of_an_earlier_process_are_removed_in_time(tmp_path: Path) -> None:
    path = tmp_path / f"app.{os.getpid()}.log"
    path.write_text(line(20 * 86400) + "\n")
    os.utime(path, (time.time() - 15 * 86400,) * 2)
    file = RotatingFile(tmp_path, "app", rotation="500 MB", retention="10 days")
    file.write(b"new\n")
    file.close()
    assert [found.read_text() for found in tmp_path.glob("app.*.log")] == ["new\n"]


def test_a_file_of_a_dead_worker_is_removed_though_its_id_was_given_to_another_program(tmp_path: Path) -> None:
    path = tmp_path / f"app.{os.getppid()}.log"
    path.write_text("{}\n")
    os.utime(path, (0, 0))
    file = RotatingFile(tmp_path, "app", rotation="500 MB", retention="10 days")
    file.write(b"new\n")
    file.close()
    assert not path.exists()


async def test_each_agent_has_a_file_when_asked(tmp_path: Path) -> None:
    async with observed(tmp_path, LOG_PER_AGENT="true") as server:
        await server.say("hello")
        await server.stop()
    (own,) = (tmp_path / "logs" / "observed").glob("observed.*.log")
    lines = [json.loads(line) for line in own.read_text().splitlines()]
    assert {line["agent"] for line in lines} == {"observed"}
    assert [line["event"] for line in lines if "event" in line] == ["turn"]


@pytest.mark.slow
async def test_no_turn_fails_on_a_full_disk(tmp_path: Path) -> None:
    async with observed(tmp_path) as server:
        await server.say("hello", turn="t1")
        (file,) = (tmp_path / "logs").glob("layercode-app.*.log")
        file.unlink()
        file.symlink_to("/dev/full")
        await asyncio.sleep(5.1)
        for number in range(5):
            frames = await server.say("use the tool", turn=f"full-{number}")
            assert frames[-1].type == "response.end"
        code, _ = await server.stop()
        assert code == 0
        assert server.printed.count("cannot be written: No space left on device") == 1


@pytest.mark.parametrize("folder", ["/proc", "file/below"])
@pytest.mark.slow
async def test_a_container_that_may_write_one_folder_only(folder: str, tmp_path: Path) -> None:
    """If the setting LOG_DIR is an empty text, logs go to stdout as JSON.

    If the folder that LOG_DIR names cannot be created, logs also go to stdout, and one warning is printed.
    """
    writable = tmp_path / "writable"
    writable.mkdir()
    (tmp_path / "file").write_text("")
    unusable = folder if folder.startswith("/") else str(tmp_path / folder)
    env = {
        "LOG_FORMAT": "json", "LOG_DIR": "" if folder == "/proc" else unusable, "METRICS_DIR": unusable,
        "LAYERCODE_STORE": f"sqlite:///{writable}/journal.sqlite3", "TMPDIR": str(writable),
    }  # fmt: skip
    async with observed(tmp_path, **env) as server:
        frames = await server.say("use the tool")
        assert (await server.client._http.get(server.url + "/metrics")).status_code == 200
        code, _ = await server.stop()
        printed = server.printed.splitlines()
    assert frames[-1].type == "response.end"
    assert code == 0
    assert not (tmp_path / "logs").exists()
    lines = [json.loads(line) for line in printed if line.startswith("{")]
    assert [line["status"] for line in lines if line.get("event") == "turn"] == ["complete"]
    others = [line for line in printed if not line.startswith("{")]
    assert len(others) == (0 if folder == "/proc" else 1), others


@needs_mounts
@pytest.mark.slow
def test_a_file_system_that_is_read_only_but_for_one_folder(tmp_path: Path) -> None:
    writable = tmp_path / "writable"
    writable.mkdir()
    (tmp_path / "agents").mkdir()
    agent = "from layercode_app import VoiceAgent\nagent = VoiceAgent('still', greeting='Hello')\n"
    (tmp_path / "agents" / "still.py").write_text(agent)
    command = (
        f"mount --bind {writable} {writable} && mount -o remount,ro,bind / && cd {tmp_path} && ! touch here && "
        f"exec {sys.executable} -m layercode_app run --agent still --host 127.0.0.1 --port 0"
    )
    with subprocess.Popen(
        ["unshare", "-m", "sh", "-c", command],
        env={
            "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LAYERCODE_WEBHOOK_SECRET": "test-secret",
            "LOG_FORMAT": "json", "LOG_DIR": "", "METRICS_DIR": f"{writable}/metrics", "TMPDIR": str(writable),
            "LAYERCODE_STORE": f"sqlite:///{writable}/journal.sqlite3", "PYTHONDONTWRITEBYTECODE": "1",
        },
        stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        lines: list[dict[str, Any]] = []
        for line in process.stdout or ():
            lines.append(json.loads(line))
            if lines[-1]["message"].startswith("Serving still at http://127.0.0.1:"):
                process.terminate()
    assert any(line["message"].startswith("Shutting down") for line in lines)
    assert not [line for line in lines if line["level"] in ("WARNING", "ERROR")]
    assert (writable / "journal.sqlite3").exists()

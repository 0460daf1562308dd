"""Sinks that are down, slow or broken cause one warning each, affect no call and do not delay the exit."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ..processes import clean_environment
from ..waiting import until
from .collectors import collecting, refused_url
from .observed import TOKEN, Observed, observed, spoken

pytestmark = pytest.mark.anyio

SINKS = ("Logfire", "The OTLP collector", "Sentry")
EXIT_SECONDS = 15.0
"""Maximum duration of an exit.

An exit takes 3 s on an idle machine (see `benchmarks.sinks --faults`). The exporters' own exit takes over 30 s.
"""
SLOWER = 5.0
"""The factor by which two medians of a few turns may differ on a busy machine. A sink that blocks delays a turn by
several seconds."""
QUICK = {"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_METRIC_EXPORT_INTERVAL": "300"}


def everywhere(url: str) -> dict[str, str]:
    """Return the environment variables that point every sink to `url`."""
    return {
        "LOGFIRE_TOKEN": TOKEN, "LOGFIRE_BASE_URL": url, "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "SENTRY_DSN": url.replace("://", "://public@") + "/1",
    }  # fmt: skip


async def call(server: Observed, turns: int = 6, name: str = "t", *, begin: int = 0) -> list[float]:
    """Send turns, numbered from `begin`; in every third, the tool fails. Return their milliseconds to first speech."""
    firsts = []
    for number in range(begin, begin + turns):
        text = "the tool shall fail" if number % 3 == 2 else "use the tool"
        frames = await server.say(text, turn=f"{name}{number}", conversation=f"{name}{number}")
        assert frames[-1].type == "response.end"
        assert ("Sorry" in spoken(frames)) is (number % 3 == 2)
        firsts.append(next(frame.at_ms for frame in frames if frame.type == "response.tts"))
    return firsts


async def in_turn(one: Observed, other: Observed, turns: int = 6) -> tuple[list[float], list[float]]:
    """Send the same turns to two servers alternately. Thus the machine's load affects the times of both equally."""
    firsts: tuple[list[float], list[float]] = ([], [])
    for number in range(turns):
        for server, found in zip((one, other), firsts, strict=True):
            found += await call(server, 1, begin=number)
    return firsts


def count_warnings(printed: str) -> dict[str, int]:
    return {sink: printed.count(f"{sink} does not accept data") for sink in SINKS}


@pytest.mark.parametrize(
    "mood",
    [
        "refused",
        pytest.param("error", marks=pytest.mark.slow),
        pytest.param("garbage", marks=pytest.mark.slow),
        pytest.param("hang", marks=pytest.mark.slow),
    ],
)
async def test_turns_go_on_and_each_sink_warns_once(mood: str, tmp_path: Path) -> None:
    ill, well = tmp_path / "ill", tmp_path / "well"
    ill.mkdir()
    well.mkdir()
    with collecting("ok" if mood == "refused" else mood) as collector, collecting() as working:  # type: ignore[arg-type]
        url = refused_url() if mood == "refused" else collector.url
        async with (
            observed(ill, **everywhere(url), **QUICK) as server,
            observed(well, **everywhere(working.url), **QUICK) as healthy,
        ):
            firsts, others = await in_turn(server, healthy)
            await until(lambda: all(count_warnings(server.printed).values()))
            # In this time each sink fails again, which must not cause a second warning.
            await asyncio.sleep(1)
            await call(server, 3, "u")
            code, seconds = await server.stop()
            printed = server.printed
    assert code == 0
    assert seconds < EXIT_SECONDS
    assert statistics.median(firsts) < SLOWER * statistics.median(others), (firsts, others)
    assert count_warnings(printed) == dict.fromkeys(SINKS, 1)
    assert printed.count("The turn failed: tool") == 3


async def test_a_sink_that_comes_back_says_so_and_warns_again_in_the_next_outage(tmp_path: Path) -> None:
    works = "The OTLP collector works again."
    with collecting("error") as collector:
        async with observed(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **QUICK) as server:

            def warnings() -> int:
                return count_warnings(server.printed)["The OTLP collector"]

            await call(server, 2, "first")
            await until(lambda: warnings() == 1)
            collector.mood = "ok"
            await call(server, 2, "second")
            await until(lambda: works in server.printed)
            collector.mood = "error"
            await call(server, 2, "third")
            await until(lambda: warnings() == 2)
            await server.stop()
            printed = server.printed
    assert warnings() == 2
    assert printed.count(works) == 1


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
async def test_sigterm_loses_nothing_of_a_finished_turn(workers: str, tmp_path: Path) -> None:
    turns = 24
    with collecting() as collector:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "SENTRY_DSN": collector.dsn}
        async with observed(tmp_path, "--workers", workers, **env) as server:
            said = [
                server.say("the tool shall fail" if n == 5 else "use the tool", turn=f"t{n}", conversation=f"c{n}")
                for n in range(turns)
            ]
            answers = await asyncio.gather(*said)
            code, _ = await server.stop()
            logged = server.logged
        spans = [span for span in collector.spans() if span.name == "turn observed"]
    assert code == 0
    assert all(frames[-1].type == "response.end" for frames in answers)
    assert {span.attributes["layercode.turn.id"] for span in spans} == {f"t{n}" for n in range(turns)}
    assert collector.metrics()["layercode.turns"] == turns
    assert logged.count('"event":"turn"') == turns
    assert len(collector.errors()) == 1
    assert await journalled(tmp_path / ".layercode" / "journal.sqlite3", turns) == turns


async def journalled(path: Path, turns: int) -> int:
    """Return how many of the turns are finished in the journal."""
    from layercode_app.journal.stores import create_store

    store = create_store(f"sqlite:///{path}")
    await store.open()
    try:
        records = [await store.get(f"c{number}", f"t{number}") for number in range(turns)]
    finally:
        await store.close()
    return sum(1 for record in records if record is not None and record.finished)


async def test_a_process_without_sinks_ends_at_once(tmp_path: Path) -> None:
    async with observed(tmp_path) as server:
        await server.say("hello")
        begun = time.monotonic()
        code, _ = await server.stop()
    assert code == 0
    assert time.monotonic() - begun < EXIT_SECONDS


HUNG = """
import threading
from loguru import logger
from layercode_app.observability import logs, setup
logs.configure(log_dir="")
logger.add(lambda message: threading.Event().wait(), enqueue=True)
logger.info("one")
setup.shutdown()
logger.info("two")
"""


def test_a_handler_that_hangs_does_not_keep_the_process_from_ending() -> None:
    command = [sys.executable, "-c", HUNG]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=EXIT_SECONDS)
    assert done.returncode == 0
    assert [line.split()[-1] for line in done.stderr.splitlines()] == ["one", "two"]

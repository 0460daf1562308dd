"""`profile` measures real turns, and finds a busy function and a line that allocates much memory."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from .. import forked

AGENT = '''
"""Busy: burns and hoards."""
from collections.abc import AsyncIterator
from pydantic_ai import Agent, RunContext
from layercode_app import Call, Scene, Turn, VoiceAgent

inner = Agent(deps_type=Turn)
agent = VoiceAgent("busy", inner)
kept = []

def burn() -> int:
    return sum(i * i for i in range(60_000))

@inner.tool
async def hoard(ctx: RunContext[Turn]) -> str:
    kept.append(bytearray(200_000))
    freed = bytearray(30_000_000)
    del freed
    return str(burn())

@agent.offline
async def script(scene: Scene) -> AsyncIterator[str | Call]:
    if scene.results:
        yield "done"
    else:
        yield Call("hoard", {})
'''


@pytest.mark.slow
def test_a_profile_finds_the_busy_function_the_hoarding_line_and_times_each_stage(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "busy.py").write_text(AGENT)
    done = forked.run(
        ["-m", "layercode_app", "profile", "busy", "--turns", "5", "--json"],
        cwd=tmp_path, env={**os.environ, "LAYERCODE_BUDGET_DAY": "$0.01"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["agent"], found["turns"]) == ("busy", 5)
    assert {"burn", "<genexpr>"} & {function["name"] for function in found["top_functions"][:3]}
    hoarding = found["top_allocations"][0]
    assert "agents/busy.py:" in hoarding["where"]
    assert hoarding["size"] > 5 * 200_000
    peak = found["memory_peak_bytes"]
    assert peak["n"] == 5
    assert 30_000_000 < peak["p50"] <= peak["max"] < 40_000_000
    assert {"ttfs", "total", "tool hoard"} <= found["stages_ms"].keys()
    assert found["stages_ms"]["tool hoard"]["n"] == 5
    page = (tmp_path / "profile.html").read_text()
    assert "burn" in page
    assert "<script" in page


def test_an_unknown_agent_ends_with_3(tmp_path: Path) -> None:
    done = forked.run(["-m", "layercode_app", "profile", "nobody"], cwd=tmp_path, env=os.environ)
    assert done.returncode == 3
    assert "'nobody'" in done.stderr

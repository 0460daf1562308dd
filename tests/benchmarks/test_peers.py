"""`python -m benchmarks.peers` counts only complete turns, and writes its results into a page.

The load generator runs against a bare ASGI server and against our server. A turn without a complete answer is a
failure. The results become a table and a plot, and a peer that cannot run gives a reason.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

pytest.importorskip("uvloop", reason="the benchmarks' load runs on uvloop, which this platform has not")

from benchmarks.load import drive
from benchmarks.peers import document, echo
from benchmarks.peers.catalogue import PEERS, Mode
from benchmarks.peers.install import NotRunError, find_python
from benchmarks.peers.model import model_server
from benchmarks.peers.process import running
from benchmarks.peers.results import Result
from benchmarks.peers.table import aims

from ..serving import serve

BARE = {"per_second": 4000.0, "p50": 2.0, "p99": 5.0, "cpu_us": 90.0}
OURS = {"per_second": 2000.0, "p50": 4.0, "p99": 9.0, "cpu_us": 180.0}
BY_KEY = {peer.key: peer for peer in PEERS}


def measured(key: str, figures: dict[str, float]) -> Result:
    result = Result(BY_KEY[key], versions={"python": "3.13"})
    result.add("echo", figures)
    result.checks = {"passed": 3, "of": 4, "failed": {"turns.memory": {}}, "skipped": []}
    return result


@pytest.mark.parametrize(("key", "mode"), [("bare", "echo"), ("ours", "model")])
@pytest.mark.slow
def test_every_turn_of_the_load_is_answered(
    key: str, mode: Mode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.peers.process.BUILD", tmp_path)
    with model_server() as url, running(BY_KEY[key], mode, url, None) as server:
        burst = echo.burst(server.port, server.peer.path, callers=2, turns=3)
    assert (len(burst.first), len(burst.total), burst.failures) == (6, 6, 0)


class Faulty:
    """A server that answers each request with the given status and the given frames.

    The word `TURN` in the frames is replaced by the turn's id.
    """

    def __init__(self, status: int, frames: str) -> None:
        self.status, self.frames = status, frames

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        turn_id = json.loads((await receive())["body"])["turn_id"]
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": self.frames.replace("TURN", turn_id).encode()})


TTS, END = (
    'data: {"type": "response.tts", "turn_id": "TURN"}\n\n',
    'data: {"type": "response.end", "turn_id": "TURN"}\n\n',
)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("status", "frames", "failures"),
    [
        (200, TTS + END, 0),
        (500, TTS + END, 1),
        (200, END, 1),
        (200, TTS, 1),
        (200, END + TTS, 1),
        (200, TTS + END.replace("TURN", "another"), 1),
    ],
)
async def test_only_whole_turns_count(status: int, frames: str, failures: int) -> None:
    async with serve(Faulty(status, frames)) as url:
        burst = await drive(int(url.rpartition(":")[2]), "/", callers=1, turns=1)
    assert burst.failures == failures


@pytest.mark.anyio
async def test_turns_that_never_end_are_failures_after_the_limit() -> None:
    async def silent(scope: Any, receive: Any, send: Any) -> None:
        while scope["type"] == "http" and (await receive())["type"] != "http.disconnect":
            pass

    async with serve(silent) as url:
        burst = await drive(int(url.rpartition(":")[2]), "/", callers=2, turns=3, limit=0.2)
    assert (burst.total, burst.failures) == ([], 6)


def test_a_peer_that_cannot_run_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        NotRunError, match=r"needs Python 3\.99 or newer, but none was found; name one with --python312"
    ):
        find_python((3, 99))
    with pytest.raises(NotRunError, match="no-such-python is an older Python or does not run"):
        find_python((3, 11), "no-such-python")
    assert find_python((3, 11)) == sys.executable
    monkeypatch.setattr("benchmarks.peers.process.BUILD", tmp_path)
    dead = replace(BY_KEY["bare"], command=lambda mode, port: [sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(NotRunError, match="ended with code 3"), running(dead, "echo", "", None):
        pass


def test_table_and_plot_are_put_between_the_markers(tmp_path: Path) -> None:
    older = Result(BY_KEY["older"], not_run="it needs Python 3.12")
    hono = Result(BY_KEY["hono"])
    hono.fail("echo", "2 of 6 turns failed")
    results = [measured("bare", BARE), older, hono, measured("ours", OURS)]
    page, image = tmp_path / "page.md", tmp_path / "plot.svg"
    page.write_text(f"before\n{document.BEGIN}\nold\n{document.END}\nafter\n")
    for _ in range(2):
        document.write_docs(results, "Measured here.", page=page, image=image)
    text = page.read_text()
    assert (text.count("Measured here."), "old" in text) == (1, False)
    assert text.startswith("before")
    assert text.endswith("after\n")
    assert (
        "| echo: turns per second (ratio to bare ASGI) | 4,000 (1.00) | not run | failed: 2 of 6 turns failed | 2,000 (0.50) |"
        in text
    )
    assert "not run: it needs Python 3.12" in text
    assert "3 of 4" in text
    assert next(iter(aims(results))) == "ok   echo throughput, as a multiple of bare ASGI: 0.50 (aim: at least 0.4)"
    words = "".join(ElementTree.parse(image).getroot().itertext())
    assert "4,000" in words
    assert "failed" in words
    page.write_text("no markers")
    with pytest.raises(ValueError, match="there is no place for the table"):
        document.write_docs(results, "", page=page, image=image)


def test_the_page_in_docs_has_the_markers() -> None:
    text = document.PAGE.read_text(encoding="utf-8")
    assert text.index(document.BEGIN) < text.index(document.END)

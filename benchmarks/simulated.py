"""Measure how long simulated calls take: 100 calls of 8 turns without a model, with every report written.

    python -m benchmarks.simulated [--calls 100] [--turns 8]

Prints the seconds, and the growth of memory after the first quarter of the calls. Aims: at most 60 s on two idle cores,
and at most 16 MB of growth.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from loguru import logger

from layercode_app.testing.evals.ledger import Ledger
from layercode_app.testing.evals.results import report
from layercode_app.testing.evals.run_scenarios import evaluate
from layercode_app.testing.evals.scenario import ScenarioFile

ROOT = Path(__file__).parents[1]
LINES = ("Two croissants, please", "What is on the menu?", "And a coffee", "Do you have sourdough?", "One sourdough")
AIM_SECONDS, AIM_MEGABYTES = 60.0, 16.0
CONCURRENCY = 8


def calls(turns: int) -> ScenarioFile:
    """Return a scenario: a caller orders from the bakery again and again, and sometimes interrupts or hesitates."""
    said = [{"say": LINES[number % len(LINES)]} for number in range(turns - 1)]
    behaviour = {"interrupts": 0.2, "backchannels": 0.1, "hesitates": 0.2, "misheard": 0.1}
    caller = {"script": [*said, {"say": "That's all, order it"}], "behaviour": behaviour, "max_turns": turns + 8}
    scenario: dict[str, Any] = {"name": "breakfast", "caller": caller, "end": {"tools": ["add_item"], "grounded": True}}
    return ScenarioFile.model_validate({"agent": "bakery", "scenarios": [scenario]})


def memory() -> float:
    """Return the resident megabytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def measure(number: int, turns: int) -> tuple[float, float, int]:
    """Play `number` calls. Return their seconds, the growth of memory in megabytes, and the number of messages."""
    seen: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        ledger = Ledger(Path(folder) / "runs.jsonl")
        played = asyncio.run(
            evaluate(
                calls(turns),
                agents=ROOT / "agents",
                repeat=number,
                concurrency=CONCURRENCY,
                seed=7,
                ledger=ledger,
                done=lambda: seen.append(memory()),
            )
        )
        files = {name: Path(folder) / name for name in ("junit", "html", "save")}
        report(played, 0, baseline=None, as_json=False, files=files)
        taken = time.perf_counter() - begun
        assert all(path.stat().st_size for path in files.values())
    return taken, seen[-1] - seen[len(seen) // 4], sum(one.turns for one in played)


def main() -> int:
    """Print the figures. Return 1 if an aim was missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--turns", type=int, default=8)
    asked = parser.parse_args()
    logger.disable("layercode_app")
    seconds, grown, messages = measure(asked.calls, asked.turns)
    used = time.process_time()
    print(f"{asked.calls} calls with {messages} messages: {seconds:.1f} s (aim {AIM_SECONDS:g} s), {used:.1f} s of CPU")
    print(f"memory grew by {grown:.1f} MB after the first quarter (aim {AIM_MEGABYTES:g} MB)")
    return int(seconds > AIM_SECONDS or grown > AIM_MEGABYTES)


if __name__ == "__main__":
    sys.exit(main())

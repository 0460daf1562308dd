"""Make every project that `new` can make, and install, test, lint, type-check and run it in a new environment.

python -m benchmarks.projects                        # show the results so far
python -m benchmarks.projects --all                  # every agent and choice of extras; resumes where it stopped
python -m benchmarks.projects --agent bakery         # one agent, every choice of extras
python -m benchmarks.projects --extras web,redis     # every agent, one choice of extras
python -m benchmarks.projects --all --minutes 30     # starts no project after 30 minutes

Results are in build/projects/results.jsonl. A result is valid as long as `new` would write the same files. `--fresh`
discards all results: use it after a change of the server.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from queue import Queue

from rich.console import Console
from rich.table import Table

from layercode_app.agent.shipped import BUILT_IN
from layercode_app.scaffold.answers import Answers, check_extras
from layercode_app.scaffold.options import EXTRAS, STORES, templates
from layercode_app.scaffold.render import LOCAL_FILE, render

from .project import NAME, PLACE, ROOT, StepError, Workshop

AGENTS = templates(next(folder for folder in BUILT_IN if folder.is_dir()))
CHOICES = [
    some
    for count in range(len(EXTRAS) + 1)
    for some in combinations(EXTRAS, count)
    if not set(STORES) <= set(some)  # A project has one journal.
]
RESULTS = PLACE / "results.jsonl"


@dataclass(frozen=True)
class Result:
    """The result of one project; `problem` is empty if every step passed."""

    agent: str
    extras: tuple[str, ...]
    digest: str
    commit: str
    steps: dict[str, float]
    problem: str = ""


def digest(agent: str, extras: tuple[str, ...]) -> str:
    """Return a digest of the files that `new` would write."""
    answers = Answers(Path(NAME), NAME, agent, None, check_extras(extras))
    files = [file for file in render(answers, AGENTS[agent], secret="test-secret") if str(file.path) != LOCAL_FILE]
    return hashlib.sha256("\0".join(f"{file.path}\0{file.text}" for file in files).encode()).hexdigest()[:16]


def known() -> dict[tuple[str, tuple[str, ...]], Result]:
    """Return the last result of each project."""
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    rows = [json.loads(line) for line in lines]
    return {(row["agent"], tuple(row["extras"])): Result(**row) for row in rows}


def take(workshop: Workshop, agent: str, extras: tuple[str, ...], commit: str) -> Result:
    """Make and check one project, from `new` to `make run`, and return the result."""
    steps: dict[str, float] = {}
    problem = ""
    try:
        for step, seconds in workshop.take(agent, extras):
            steps[step] = round(seconds, 2)
    except (StepError, OSError, subprocess.TimeoutExpired) as error:
        problem = str(error)
    return Result(agent, extras, digest(agent, extras), commit, steps, problem)


def take_all(wanted: Iterable[tuple[str, tuple[str, ...]]], *, minutes: float, jobs: int) -> None:
    """Make and check every project. Skip a project that passed before if `new` still writes the same files."""
    seen = known()
    todo = [one for one in wanted if one not in seen or seen[one].problem or seen[one].digest != digest(*one)]
    PLACE.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + minutes * 60
    if todo:
        Workshop().set_up()
    described = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    benches: Queue[Workshop] = Queue()
    for bench in range(1, jobs + 1):
        benches.put(Workshop(bench))

    def work(one: tuple[str, tuple[str, ...]]) -> Result | None:
        workshop = benches.get()
        try:
            return take(workshop, *one, described.stdout.strip()) if time.monotonic() < deadline else None
        finally:
            benches.put(workshop)

    with ThreadPoolExecutor(jobs) as pool:
        for number, result in enumerate(pool.map(work, todo), 1):
            if result is not None:
                _note(result, f"[{number}/{len(todo)}]")


def _note(result: Result, progress: str) -> None:
    """Store a result and print it."""
    with RESULTS.open("a") as file:
        file.write(json.dumps(asdict(result)) + "\n")
    mark, seconds = "FAILED" if result.problem else "ok", sum(result.steps.values())
    print(f"{progress} {mark:6} {seconds:4.0f} s  {result.agent} {','.join(result.extras)}", flush=True)
    print(result.problem, end="\n" if result.problem else "", flush=True)


def summary(wanted: list[tuple[str, tuple[str, ...]]]) -> int:
    """Print a row for each agent. Return the exit code: 0 if all projects passed, else 1."""
    results = [seen for one, seen in known().items() if one in wanted]
    table = Table("agent", "passed", "failed", "changed since", "not tried", "median s")
    for agent in sorted({agent for agent, _ in wanted}):
        mine = [result for result in results if result.agent == agent]
        old = [result for result in mine if result.digest != digest(result.agent, result.extras)]
        failed = [result for result in mine if result.problem and result not in old]
        took = sorted(sum(result.steps.values()) for result in mine) or [0.0]
        untried = sum(one[0] == agent for one in wanted) - len(mine)
        counts = (len(mine) - len(failed) - len(old), len(failed), len(old), untried)
        table.add_row(agent, *map(str, counts), f"{took[len(took) // 2]:.0f}")
    Console().print(table)
    passed = sum(not result.problem and result.digest == digest(result.agent, result.extras) for result in results)
    print(f"{passed} of {len(wanted)} projects passed")
    return 0 if passed == len(wanted) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="every agent with every choice of extras")
    parser.add_argument("--agent", choices=sorted(AGENTS))
    parser.add_argument("--extras", help="one choice of extras, separated by commas; '' for no extras")
    parser.add_argument("--jobs", type=int, default=1, help="number of projects at the same time")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--fresh", action="store_true", help="discard all results first")
    asked = parser.parse_args()
    if asked.fresh:
        RESULTS.unlink(missing_ok=True)
    choices = CHOICES if asked.extras is None else [tuple(part for part in asked.extras.split(",") if part)]
    # The agents are the inner loop, so that a run that is stopped early has tried every agent.
    wanted = [(agent, extras) for extras in choices for agent in ([asked.agent] if asked.agent else sorted(AGENTS))]
    if asked.all or asked.agent or asked.extras is not None:
        take_all(wanted, minutes=asked.minutes, jobs=asked.jobs)
    return summary(wanted)


if __name__ == "__main__":
    sys.exit(main())

"""Run the peers and compare them.

    python -m benchmarks.peers [--rounds 3] [--only echo,ttfs] [--peers bare,ours] [--json FILE] [--write-docs]

This takes about eight minutes on two cores, once everything is installed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

from . import conformance, echo, memory, startup, ttfs
from .catalogue import PEERS
from .document import write_docs
from .install import BUILD, NotRunError, install
from .model import model_server
from .process import allow_files, cores
from .results import Result
from .table import aims, machine, tables

MEASURES = (echo.MEASURE, ttfs.MEASURE, memory.MEASURE, startup.MEASURE, conformance.MEASURE)
NEEDED_PYTHON = "PEERS_PYTHON312"


def options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, choices=range(1, 21), metavar="N", help="rounds, default 3")
    parser.add_argument("--only", default=",".join(MEASURES), help=f"some of {','.join(MEASURES)}")
    parser.add_argument("--peers", default=",".join(p.key for p in PEERS), help="some of the peers")
    parser.add_argument("--python312", default=os.environ.get(NEEDED_PYTHON), metavar="PYTHON",
                        help="Python for the peers `fastapi` and `older` (layercode-create-app 0.2.0, which needs Python 3.12 "
                             f"or newer); default: ${NEEDED_PYTHON}, or the first suitable Python found")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    parser.add_argument("--write-docs", action="store_true", help="put table and plot into docs/")
    return parser.parse_args()


def main() -> int:
    """Install, measure and print. Return 1 if our server fails in any measurement, 2 for an unknown measure or peer."""
    asked = options()
    only, chosen = asked.only.split(","), asked.peers.split(",")
    if unknown := [*({*only} - {*MEASURES}), *({*chosen} - {p.key for p in PEERS})]:
        print(
            f"unknown: {', '.join(unknown)}. Measures: {', '.join(MEASURES)}. Peers: {', '.join(p.key for p in PEERS)}."
        )
        return 2
    BUILD.mkdir(parents=True, exist_ok=True)
    results = [_installed(Result(peer), asked.python312) for peer in PEERS if peer.key in chosen]
    begun = time.monotonic()
    _measure([result for result in results if not result.not_run], only, asked.rounds)
    about = machine(results, rounds=asked.rounds, seconds=time.monotonic() - begun)
    print("\n".join(["", tables(results), "", about, "", *aims(results)]))
    if asked.json:
        asked.json.write_text(json.dumps({"about": about} | {r.peer.key: r.to_json() for r in results}, indent=2))
    if asked.write_docs:
        write_docs(results, about)
    ours = [result for result in results if result.peer.key == "ours"]
    return int(any(result.failed for result in ours))


def _installed(result: Result, python: str | None) -> Result:
    print(f"{result.peer.title}: ", end="", flush=True)
    try:
        result.versions = install(result.peer.key, result.peer.needs, python=python)
        print(", ".join(f"{name} {version}" for name, version in result.versions.items()))
    except NotRunError as error:
        result.not_run = str(error)
        print(f"not run: {error}")
    return result


def _measure(results: list[Result], only: list[str], rounds: int) -> None:
    files = allow_files()
    core, own = cores()
    if own is not None:
        os.sched_setaffinity(0, {own})
    with model_server() as url:
        for name in (name for name in MEASURES if name in only):
            begun = time.monotonic()
            if name == echo.MEASURE:
                echo.measure(results, rounds=rounds, model_url=url, core=core)
            elif name == ttfs.MEASURE:
                ttfs.measure(results, rounds=rounds, model_url=url, core=core)
            elif name == memory.MEASURE:
                memory.measure(results, rounds=rounds, model_url=url, core=core, files=files)
            elif name == startup.MEASURE:
                startup.measure(results, rounds=rounds, model_url=url, core=core)
            else:
                conformance.measure(results, model_url=url, core=core)
            print(f"{name}: {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())

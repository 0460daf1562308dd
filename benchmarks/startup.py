"""Compare the time that `--help` takes in this package and in a bare Typer app with a similar number of commands.

    python -m benchmarks.startup

Both are run alternately. Aim: at most twice the time of the bare app.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 15
BARE = """
import typer
app = typer.Typer()
for number in range(20):
    def command(name: str = "x", count: int = 1) -> None: "Do it."
    app.command(f"command-{number}")(command)
app()
"""


def main() -> int:
    """Run `--help` of this package and of a bare Typer app alternately, and print the ratio of their times."""
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder, "bare.py")
        bare.write_text(BARE)
        times: dict[str, list[float]] = {"bare": [], "ours": []}
        for _ in range(RUNS):
            times["bare"].append(timed(sys.executable, str(bare), "--help"))
            times["ours"].append(timed(sys.executable, "-m", "layercode_app", "--help"))
    own, other = statistics.median(times["ours"]), statistics.median(times["bare"])
    ratio = statistics.median(a / b for a, b in zip(times["ours"], times["bare"], strict=True))
    print(f"--help: {own * 1000:.0f} ms, bare Typer {other * 1000:.0f} ms, ratio {ratio:.2f} (aim 2.0)")
    return 0


def timed(*command: str) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begun


if __name__ == "__main__":
    sys.exit(main())

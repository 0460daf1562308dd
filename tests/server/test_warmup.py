"""The warm-up pays for what the first turn would wait for, and nobody hears of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ..processes import clean_environment

CODE = """
import sys, time, asyncio
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
seen = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(seen))
trace.set_tracer_provider(provider)
from pydantic_ai import Agent
Agent.instrument_all(True)
from layercode_app.server import warmup
times = []
for _ in range(2):
    begun = time.perf_counter()
    asyncio.run(warmup._turn())
    warmup._load_prices()
    times.append(time.perf_counter() - begun)
warmup.warm_up()
assert seen.get_finished_spans() == (), seen.get_finished_spans()
assert times[1] < times[0], times
print(times)
"""


def test_a_second_turn_is_quicker_and_no_span_tells_of_either(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[")

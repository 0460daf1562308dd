"""Measure how much longer the first caller of a new server waits than the callers after it.

    python -m benchmarks.first_turn

Measures the time to first speech of turns 1 to 5 of a new server, each in a new conversation, for both OpenAI APIs.
`run` starts the server. The model is an HTTP server on this machine and answers at once. Aim: the first turn takes at
most twice the median of the others.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from pathlib import Path

from layercode_app.emulator.webhooks import WebhookClient
from tests.calling import Caller
from tests.model_server import ModelServer
from tests.ports import free_port
from tests.processes import command, listening
from tests.serving import serve

SECRET = "test-secret"
TURNS = 5
ROUNDS = 3
AIM = 2.0


async def first_turns(model: str) -> list[float]:
    """Return the milliseconds to the first speech of each turn of a new server."""
    port = free_port()
    async with serve(ModelServer(reply=lambda messages: "Hello there.").app) as url:
        env = {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": "test-key", "LAYERCODE_WEBHOOK_SECRET": SECRET}
        options = ("--model", model, "--host", "127.0.0.1", "--port", str(port))
        with tempfile.TemporaryDirectory() as folder:
            async with command("run", *options, cwd=Path(folder), env=env) as process:
                await listening(f"http://127.0.0.1:{port}", process)
                # This request warms up the client, so that only the server's first turn is measured.
                async with WebhookClient(f"http://127.0.0.1:{port}/api/agents/echo", SECRET) as client:
                    await Caller(client, "nobody").say("hello")
                async with WebhookClient(f"http://127.0.0.1:{port}/api/agent", SECRET) as client:
                    return [await _ttfs(Caller(client, f"call-{number}")) for number in range(TURNS)]


async def _ttfs(caller: Caller) -> float:
    reply = await caller.say("hello")
    return next(frame.at_ms for frame in reply.frames if frame.type == "response.tts")


def main() -> int:
    """Print the times and the ratio. Return 1 if the aim was missed."""
    missed = 0
    for model in ("openai-chat:gpt-test", "openai:gpt-test"):
        rounds = [asyncio.run(first_turns(model)) for _ in range(ROUNDS)]
        times = [statistics.median(column) for column in zip(*rounds, strict=True)]
        ratio = times[0] / statistics.median(times[1:])
        missed += ratio > AIM
        shown = ", ".join(f"{time:.0f}" for time in times)
        print(
            f"{model:>20}: first speech of turns 1 to {TURNS} after {shown} ms; "
            f"the first turn took {ratio:.1f} times the median of the others (aim {AIM})"
        )
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())

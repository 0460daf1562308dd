"""Measure the concierge's time to first speech, with and without its small model: python benchmarks/concierge.py

The agent's offline script answers in place of both models, so the figures do not depend on a provider. In place of the
larger model, the script waits 0.6 s before its first word (OFFLINE_THINKING_SECONDS in the agent's file). In place of
the small model, the script answers at once.
"""

from __future__ import annotations

import asyncio
import statistics

from layercode_app import VoiceAgent, find_agent
from layercode_app.testing import open_call

TURNS = 20


async def first_speech(agent: VoiceAgent) -> float:
    """Return the median time to first speech over some turns, in milliseconds."""
    async with open_call(agent) as call:
        turns = [await call.say("What can you do?") for _ in range(TURNS)]
    return statistics.median(turn.ttfs for turn in turns if turn.ttfs is not None)


async def main() -> None:
    concierge = find_agent("concierge")
    plain = VoiceAgent("plain", concierge.agent)
    assert concierge.script is not None
    plain.offline(concierge.script)
    for name, agent in (("plain", plain), ("concierge", concierge)):
        print(f"{name:10} {await first_speech(agent):6.0f} ms")


if __name__ == "__main__":
    asyncio.run(main())

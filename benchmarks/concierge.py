"""Time to first speech of the concierge, with and without its small model: python benchmarks/concierge.py

Both models are the agent's offline script, so the figures show the structure and not a provider: the larger one takes
0.6 s to its first token, as OFFLINE_THINKING_SECONDS in the agent's file says, and the small one none.
"""

from __future__ import annotations

import asyncio
import statistics

from layercode_app import VoiceAgent, find_agent
from layercode_app.testing import open_call

TURNS = 20


async def first_speech(agent: VoiceAgent) -> float:
    """The median over some turns, in milliseconds."""
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


asyncio.run(main())

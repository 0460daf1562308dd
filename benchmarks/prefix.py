"""Measure how much of each model request repeats the beginning of the previous request, over a call of 300 turns.

    python -m benchmarks.prefix [TURNS]

Uses the real turn engine with a SQLite journal. A PydanticAI agent has instructions of 600 tokens and calls a tool in
every third turn. Each request is written out as a provider reads it: tools, instructions, then the messages. All
characters before the first difference from the previous request are shared; providers cache these.

When the history exceeds its token budget, the oldest turns are dropped. Two ways are compared: "turn by turn" drops as
few turns as possible, as earlier releases did, and "in steps" drops many turns at a time, as this release does. Both
have the same budget, 8,000 tokens by default. Aim: on average, 90 % of a request is shared, and every request contains
the newest turns.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from layercode_app import Message, VoiceAgent
from layercode_app.agent.runner import AgentRunner
from layercode_app.conversation.admission import TurnHandler
from layercode_app.conversation.listener import Listener
from layercode_app.journal.record import Frame
from layercode_app.journal.stores import create_store
from layercode_app.journal.tokens import CHARACTERS_PER_TOKEN, characters_of, text_of
from layercode_app.settings.limits import Limits

TURNS = 300
AIM = 0.9
NEWEST = 3
"""The number of newest earlier turns that every request must contain."""
INSTRUCTIONS = "You take orders for a bakery. Keep answers short, and repeat every order before you confirm it. " * 25
ANSWER = (
    "Certainly, I have added {} to your basket. Would you like anything else, or shall I read your order back to you?"
)
RESULT = {"item": "rye bread", "price": 4.2, "in stock": 12, "allergens": ["gluten", "sesame"], "note": "baked today"}


@dataclass
class Measured:
    """The measurements of one call.

    `shares` has a fraction for each request: how much of its text, counted from the beginning, equals the previous
    request. `histories` has the number of tokens in the messages of each request.
    """

    shares: list[float] = field(default_factory=list)
    histories: list[int] = field(default_factory=list)
    complete: bool = True
    """True if every request contained the newest turns."""
    _before: str = ""

    def add(self, messages: list[ModelMessage], info: AgentInfo, turn: int) -> None:
        """Measure one model request of turn number `turn`."""
        written = _written(messages, info)
        if self._before:
            self.shares.append(_common(self._before, written) / len(written))
        self._before = written
        self.histories.append(characters_of(messages) // CHARACTERS_PER_TOKEN)
        self.complete &= all(f"{number}: " in written for number in range(max(turn - NEWEST, 0), turn + 1))


def _common(one: str, other: str) -> int:
    """Return the number of equal characters at the beginning of both texts."""
    shorter = min(len(one), len(other))
    return next((place for place in range(shorter) if one[place] != other[place]), shorter)


def _written(messages: list[ModelMessage], info: AgentInfo) -> str:
    """Return a request as one text: its tools, its instructions, and the contents of all its messages."""
    parts = [[part.part_kind, _content(part)] for message in messages for part in message.parts]
    tools = [tool.name + json.dumps(tool.parameters_json_schema) for tool in info.function_tools]
    return "\n".join([*tools, info.instructions or "", *map(json.dumps, parts)])


def _content(part: Any) -> str:
    called = f"{part.tool_name} {part.tool_call_id} " if hasattr(part, "tool_call_id") else ""
    return called + text_of(getattr(part, "content", None) or getattr(part, "args", None))


async def call(turns: int, folder: str) -> Measured:
    """Let an agent answer this number of turns of one call."""
    measured, number = Measured(), 0

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        measured.add(messages, info, number)
        if number % 3 == 0 and not isinstance(messages[-1].parts[-1], ToolReturnPart):
            yield {0: DeltaToolCall("look_up", json.dumps({"item": f"bread {number}"}), tool_call_id=f"call_{number}")}
        else:
            yield ANSWER.format(f"bread {number}")

    agent = Agent(FunctionModel(stream_function=answer), instructions=INSTRUCTIONS)

    @agent.tool_plain
    def look_up(item: str) -> dict[str, Any]:
        """Find an item on the shelves."""
        return RESULT

    store = create_store(f"sqlite:///{folder}/journal.sqlite3")
    await store.open()
    handler, runner = TurnHandler(store, limits=Limits()), AgentRunner(VoiceAgent("bakery", agent))
    for number in range(turns):
        text = f"{number}: I would like another loaf of bread, and a few rolls with it, if you have some."
        event = {"session_id": "s", "conversation_id": "c", "turn_id": f"t{number}", "text": text}
        await handler.admit(runner, Message.model_validate(event), Listener(_nobody), received=time.perf_counter())
    await store.close()
    return measured


async def _nobody(frames: Sequence[Frame]) -> None:
    """Discard the frames."""


def measure(turns: int, *, steps: bool) -> Measured:
    """Measure a call whose history exceeds its budget.

    If `steps` is true, many old turns are dropped at a time; otherwise, as few as possible.
    """
    with tempfile.TemporaryDirectory() as folder:
        if steps:
            return asyncio.run(call(turns, folder))
        with patch("layercode_app.journal.stores.sqlite_history.first_of", lambda *given: 0):
            return asyncio.run(call(turns, folder))


def main(arguments: list[str]) -> int:
    turns = int(arguments[0]) if arguments else TURNS
    print(f"{turns} turns, budget {Limits().history_tokens:,} tokens; share that repeats the previous request\n")
    print(f"{'':14}{'mean':>8}{'p50':>8}{'p10':>8}{'least':>8}   longest history   newest turns")
    mean, complete = 0.0, False
    for name, steps in (("turn by turn", False), ("in steps", True)):
        measured = measure(turns, steps=steps)
        shares, complete = sorted(measured.shares), measured.complete
        mean, p50, p10 = statistics.mean(shares), statistics.median(shares), shares[len(shares) // 10]
        print(
            f"{name:14}{mean:8.1%}{p50:8.1%}{p10:8.1%}{shares[0]:8.1%}{max(measured.histories):12,} tokens"
            f"   {'always' if complete else 'NOT ALWAYS'}"
        )
    held = mean >= AIM and complete
    print(f"\naim (mean at least {AIM:.0%}, newest {NEWEST} turns in every request): {'held' if held else 'MISSED'}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A turn that runs in one worker and is also heard by a caller of another worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from layercode_app import LayerCode, Turn, VoiceAgent

from ..calling import Caller, calling, settings

EVENT = {"type": "message", "text": "count", "turn_id": "t"}


class Counter:
    """An agent that says each text that a test puts into `numbers`, until None ends the turn.

    Two apps run it on one journal.
    """

    def __init__(self, tmp_path: Path, **given: Any) -> None:
        self.numbers: asyncio.Queue[str | None] = asyncio.Queue()
        voice = VoiceAgent("counter")

        @voice.on_message
        async def count(turn: Turn) -> AsyncIterator[str]:
            while (number := await self.numbers.get()) is not None:
                yield number

        self.apps = [LayerCode(voice, settings=settings(tmp_path, apology="Sorry!", **given)) for _ in range(2)]


@asynccontextmanager
async def heard_at_both(counter: Counter) -> AsyncIterator[tuple[Heard, Heard]]:
    """Run a turn in the first worker and follow it from the second, until both callers have heard one word."""
    async with AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(calling(app)) for app in counter.apps]
        callers[1].conversation_id = callers[0].conversation_id
        first = Heard(callers[0])
        counter.numbers.put_nowait("1 ")
        await first.until("1 ")
        second = Heard(callers[1])
        await second.until("1 ")
        yield first, second
        counter.numbers.put_nowait(None)
        await asyncio.wait_for(asyncio.gather(first.task, second.task), 100)


class Heard:
    """A caller for whom `EVENT` is delivered, and the frames of the answer that have arrived so far."""

    def __init__(self, caller: Caller) -> None:
        self.frames: list[Any] = []
        self.more = asyncio.Condition()
        self.conversation_id = caller.conversation_id
        self.task = asyncio.create_task(self._listen(caller))

    @property
    def words(self) -> list[Any]:
        return [frame.content for frame in self.frames if frame.type == "response.tts"]

    @property
    def ended(self) -> bool:
        types = [frame.type for frame in self.frames]
        return types.index("response.end") == len(types) - 1

    async def _listen(self, caller: Caller) -> None:
        ids = {"conversation_id": caller.conversation_id, "session_id": caller.session_id}
        async with caller.client.deliver(EVENT | ids) as answer:
            async for frame in answer.frames():
                async with self.more:
                    self.frames.append(frame)
                    self.more.notify_all()

    async def until(self, *words: str) -> None:
        async with asyncio.timeout(100), self.more:
            await self.more.wait_for(lambda: self.words == list(words))

"""First words first: on a busy event loop, answers that have begun to speak wait for those that have not."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
from pydantic_ai import Agent
from pydantic_ai.models.function import FunctionModel

from layercode_app import LayerCode, VoiceAgent
from layercode_app.agent import bounded_model
from layercode_app.agent.first_words import LaterPieces, turnstile_of

from ..calling import Caller, calling, settings

pytestmark = pytest.mark.anyio


async def passing() -> None:
    """Wait until the turnstile of the test's event loop lets this task pass.

    The turnstile lets one task pass in each iteration of the loop.
    """
    loop = asyncio.get_running_loop()
    await turnstile_of(loop).pass_through(loop)


async def test_one_passes_in_each_iteration_in_order_of_arrival() -> None:
    passed: list[int] = []

    async def go(number: int) -> None:
        await passing()
        passed.append(number)

    tasks = [asyncio.create_task(go(number)) for number in range(20)]
    seen = []
    while len(passed) < len(tasks):
        before = len(passed)
        await asyncio.sleep(0)
        seen.append(len(passed) - before)
    await asyncio.gather(*tasks)
    assert passed == list(range(20))
    assert max(seen) == 1, seen


async def test_who_is_alone_never_waits() -> None:
    for _ in range(5):
        coroutine = passing()
        with pytest.raises(StopIteration):
            coroutine.send(None)
        await asyncio.sleep(0)


async def test_a_task_that_was_cancelled_lets_the_next_one_pass() -> None:
    tasks = [asyncio.create_task(passing()) for _ in range(5)]
    await asyncio.sleep(0)
    for task in tasks[1:4]:
        task.cancel()
    async with asyncio.timeout(10):
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), *[asyncio.CancelledError] * 3, type(None)]


def test_a_loop_that_has_ended_is_forgotten() -> None:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(passing())
    loop.close()
    ended = ref(loop)
    del loop
    gc.collect()
    assert ended() is None


async def test_no_piece_waits_before_the_first_word_and_the_stream_is_closed() -> None:
    closed = []

    async def pieces() -> AsyncIterator[str]:
        try:
            yield "one"
            yield "two"
        finally:
            closed.append(True)

    for spoke in (lambda: False, lambda: True):
        events = LaterPieces(pieces(), spoke)
        assert await anext(aiter(events)) == "one"
        await events.aclose()
    assert closed == [True, True]


class Crowd:
    """A model whose answers have 300 pieces, all ready at once; `made` counts the pieces of all answers."""

    def __init__(self) -> None:
        self.made = 0

    async def stream(self, messages: Any, info: Any) -> AsyncIterator[str]:
        for number in range(300):
            self.made += 1
            yield f"word{number} "
            await asyncio.sleep(0)


async def _pieces_before_the_first_word(tmp_path: Path) -> int:
    """Let the answers to 20 callers run, then send the message of one more caller.

    Return how many pieces of all answers the model makes before the first word for this caller arrives.
    """
    crowd = Crowd()
    app = LayerCode(
        VoiceAgent("crowd", Agent(FunctionModel(stream_function=crowd.stream))), settings=settings(tmp_path)
    )
    async with calling(app) as caller:
        others = [
            asyncio.create_task(Caller(caller.client, f"conversation-of-{n}").say("hello", turn_id=f"turn-of-{n}"))
            for n in range(20)
        ]
        while crowd.made < 20 * 5:
            await asyncio.sleep(0)
        before = crowd.made
        event = {"type": "message", "text": "hello", "turn_id": "late", "conversation_id": "late", "session_id": "late"}
        async with caller.client.deliver(event) as answer:
            await anext(frame async for frame in answer.frames() if frame.type == "response.tts")
            found = crowd.made - before
        replies = await asyncio.gather(*others)
    assert {len(reply.spoken.split()) for reply in replies} == {300}
    return found


async def test_a_first_word_does_not_wait_for_the_words_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ours := tmp_path / "ours").mkdir()
    (plain := tmp_path / "plain").mkdir()
    found = await _pieces_before_the_first_word(ours)
    monkeypatch.setattr(bounded_model, "LaterPieces", lambda events, spoke: events)
    assert found * 3 < await _pieces_before_the_first_word(plain)

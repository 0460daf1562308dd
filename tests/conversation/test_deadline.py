"""A deadline does what `asyncio.timeout` does, also where somebody else cancels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from layercode_app.conversation.deadline import Deadline

pytestmark = pytest.mark.anyio


async def test_what_is_done_in_time_is_left_alone() -> None:
    with Deadline(0.05):
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)


async def test_what_takes_too_long_ends_with_a_timeout_and_the_task_goes_on() -> None:
    with pytest.raises(TimeoutError), Deadline(0.01):
        await asyncio.sleep(10)
    await asyncio.sleep(0.01)


async def test_an_error_in_time_is_raised_as_it_is() -> None:
    with pytest.raises(KeyError), Deadline(0.01):
        raise KeyError


async def test_the_inner_of_two_ends_first() -> None:
    async with asyncio.timeout(1):
        with Deadline(1):
            with pytest.raises(TimeoutError), Deadline(0.01):
                await asyncio.sleep(10)
            await asyncio.sleep(0.01)


async def test_who_cancels_before_the_time_is_up_cancels() -> None:
    async def work() -> None:
        with Deadline(1):
            await asyncio.sleep(10)

    await _is_cancelled(work(), lambda task: task.cancel())


async def test_who_cancels_when_the_time_is_up_cancels() -> None:
    deadline: AbstractContextManager[Any] = Deadline(1)

    async def work() -> None:
        with deadline:
            await asyncio.sleep(10)

    def both(task: asyncio.Task[None]) -> None:
        deadline._pass()  # type: ignore[attr-defined]
        task.cancel()

    await _is_cancelled(work(), both)


async def _is_cancelled(work: Any, cancel: Callable[[asyncio.Task[None]], object]) -> None:
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    cancel(task)
    with pytest.raises(asyncio.CancelledError):
        await task

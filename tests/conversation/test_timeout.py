"""A Timeout behaves like `asyncio.timeout`, even if another task cancels the task that uses the Timeout."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from layercode_app.conversation.timeout import Timeout, under

pytestmark = pytest.mark.anyio


async def test_what_is_done_in_time_is_left_alone() -> None:
    with Timeout(0.05):
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)


async def test_what_takes_too_long_ends_with_a_timeout_and_the_task_goes_on() -> None:
    with pytest.raises(TimeoutError), Timeout(0.01):
        await asyncio.sleep(10)
    await asyncio.sleep(0.01)


async def test_an_error_in_time_is_raised_as_it_is() -> None:
    with pytest.raises(KeyError), Timeout(0.01):
        raise KeyError


async def test_the_inner_of_two_ends_first() -> None:
    async with asyncio.timeout(1):
        with Timeout(1):
            with pytest.raises(TimeoutError), Timeout(0.01):
                await asyncio.sleep(10)
            await asyncio.sleep(0.01)


async def test_who_cancels_before_the_time_is_up_cancels() -> None:
    async def work() -> None:
        with Timeout(1):
            await asyncio.sleep(10)

    await _is_cancelled(work(), lambda task: task.cancel())


async def test_who_cancels_when_the_time_is_up_cancels() -> None:
    deadline: AbstractContextManager[Any] = Timeout(1)

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


# --- entered when it first waits


class Entered:
    """Counts how often it was entered and left."""

    def __init__(self) -> None:
        self.entered = self.left = 0

    def __enter__(self) -> None:
        self.entered += 1

    def __exit__(self, *_: object) -> None:
        self.left += 1


async def test_what_never_waits_needs_no_deadline() -> None:
    async def work() -> str:
        return "at once"

    entered = Entered()
    assert await under(entered, work()) == "at once"
    assert entered.entered == 0


async def test_what_waits_several_times_enters_once_and_gives_its_value() -> None:
    async def work() -> list[int]:
        first = await asyncio.sleep(0, 1)
        second = await asyncio.sleep(0.001, 2)
        return [first, second, await asyncio.sleep(0, 3)]

    entered = Entered()
    assert await under(entered, work()) == [1, 2, 3]
    assert (entered.entered, entered.left) == (1, 1)


async def test_an_error_comes_through_before_and_after_the_first_wait() -> None:
    async def at_once() -> None:
        raise KeyError

    async def later() -> None:
        await asyncio.sleep(0)
        raise KeyError

    entered = Entered()
    with pytest.raises(KeyError):
        await under(entered, at_once())
    with pytest.raises(KeyError):
        await under(entered, later())
    assert (entered.entered, entered.left) == (1, 1)


async def test_what_waits_too_long_is_cancelled_and_may_clean_up_meanwhile() -> None:
    cleaned = []

    async def work() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            cleaned.append(await asyncio.sleep(0.001, "up"))

    with pytest.raises(TimeoutError):
        await under(Timeout(0.01), work())
    assert cleaned == ["up"]


async def test_an_error_it_waits_for_can_be_caught_and_ends_it_with_a_value() -> None:
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(failed.set_exception, ValueError())

    async def work() -> str:
        try:
            await failed
        except ValueError:
            return "caught"
        return "missed"

    assert await under(Entered(), work()) == "caught"


async def test_a_cancelled_task_cancels_what_it_does_under_a_deadline() -> None:
    await _is_cancelled(_under_a_second(), lambda task: task.cancel())


async def _under_a_second() -> None:
    await under(Timeout(1), asyncio.sleep(10))


async def test_one_that_swallows_a_cancel_goes_on_to_its_end() -> None:
    async def work() -> str:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            return "swallowed"
        return "slept"

    task = asyncio.ensure_future(under(Entered(), work()))
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "swallowed"


async def test_what_is_dropped_while_it_waits_is_closed() -> None:
    closed = []

    async def work() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            closed.append(True)

    async def waiting() -> None:
        await under(Entered(), work())

    dropped = waiting()
    dropped.send(None)
    dropped.close()
    assert closed == [True]

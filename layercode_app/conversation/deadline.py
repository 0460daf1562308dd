"""A bound on the time of what a task does, which costs nothing where that is over at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from contextlib import AbstractContextManager
from types import TracebackType, coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Deadline:
    """`with Deadline(seconds):` raises TimeoutError where its block awaits, when the time is up.

    Like `asyncio.timeout`, at a third of the cost: every turn has one.
    """

    __slots__ = ("_cancelling", "_passed", "_seconds", "_task", "_timer")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._passed = False

    @property
    def passed(self) -> bool:
        """Whether the time is up."""
        return self._passed

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._timer = task.get_loop().call_later(self._seconds, self._pass)

    def _pass(self) -> None:
        self._passed = True
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        # Where the task was cancelled by somebody else as well, that is what counts.
        if self._passed and self._task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error


@coroutine
def under(context: AbstractContextManager[Any], work: Awaitable[T]) -> Generator[Any, Any, T]:
    """Await something in a context, such as a Deadline, that is entered when it first waits.

    Most of what has a deadline never waits: a body that is there, an agent that knows its answer.
    """
    steps = work.__await__()
    try:
        waits_for = next(steps)
    except StopIteration as end:
        value: T = end.value
        return value
    with context:
        return (yield from _go_on(steps, waits_for))


def _go_on(steps: Generator[Any, Any, T], waits_for: Any) -> Generator[Any, Any, T]:
    """The rest of an awaitable's steps, which stopped at something that it waits for."""
    try:
        yield waits_for
    except GeneratorExit:
        steps.close()
        raise
    except BaseException as error:  # noqa: BLE001 - whatever it is, work may expect it
        try:
            waits_for = steps.throw(error)
        except StopIteration as end:
            value: T = end.value
            return value
        return (yield from _go_on(steps, waits_for))
    # An event loop sends nothing but None, with which this goes on too.
    return (yield from steps)

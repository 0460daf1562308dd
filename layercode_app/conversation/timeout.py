"""A timeout that is armed only if the awaited work suspends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from contextlib import AbstractContextManager
from contextvars import Context
from types import TracebackType, coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Timeout:
    """A timeout: `with Timeout(seconds):` raises TimeoutError if its block is still waiting after that time.

    It works like `asyncio.timeout` at a third of the cost, which matters because every turn has one.
    """

    __slots__ = ("_cancelling", "_passed", "_seconds", "_task", "_timer")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._passed = False

    @property
    def passed(self) -> bool:
        """Whether the timeout has expired."""
        return self._passed

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        # Use an empty context, because a cancelled timer keeps its context in memory until it would have fired.
        self._timer = task.get_loop().call_later(self._seconds, self._pass, context=Context())

    def _pass(self) -> None:
        self._passed = True
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        # A cancellation from outside takes precedence over the timeout.
        if self._passed and self._task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error


@coroutine
def under(context: AbstractContextManager[Any], work: Awaitable[T]) -> Generator[Any, Any, T]:
    """Await work in a context, such as a Timeout. The context is entered only when the work first suspends.

    Most work that has a timeout never suspends: for example, the body has already arrived, or no model is called.
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
    """Run the remaining steps of an awaitable that has suspended on `waits_for`."""
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
    # An event loop resumes a coroutine only with None. `yield from` resumes the steps with None, too.
    return (yield from steps)

"""Keep the changes that hooks and guards make while tools run, although the tools may be cancelled and undone.

Nothing tells who has changed a value (see `undo.py`). But only one task runs at a time, so the values are compared
before and after each step of a hook: the tools made the changes before the step, and
the hook made those in it.
"""

from __future__ import annotations

import types
from collections.abc import Awaitable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from .live import LiveTurn

T = TypeVar("T")


@contextmanager
def lasting_step(live: LiveTurn) -> Iterator[None]:
    """Protect the changes that the block makes to state, stage, agent and hang-up: no cancelled tool undoes them.

    The block must not await anything.
    """
    parts = live.busy_parts()
    for part in parts:
        part.compare()
    try:
        yield
    finally:
        for part in parts:
            part.settle()


async def lasting(live: LiveTurn, work: Awaitable[T]) -> T:
    """Await the work, and keep its changes to state, stage, agent and hang-up."""
    return await _in_steps(live, work)


@types.coroutine
def _in_steps(live: LiveTurn, work: Awaitable[T]) -> Generator[Any, Any, T]:
    steps: Any = work.__await__()
    step, given = steps.send, None
    while True:
        try:
            with lasting_step(live):
                waiting = step(given)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        try:
            step, given = steps.send, (yield waiting)
        except GeneratorExit:
            steps.close()
            raise
        except BaseException as error:  # noqa: BLE001 - passed on to the work, as `await` does
            step, given = steps.throw, error

"""Keep the changes that hooks and guards make while tools run, although the tools may be cancelled and undone.

It is not known who has changed a value (see `undo.py`). But only one task runs at a time, so the values are compared
before and after each step of a hook. Changes that are found before the step were made by the tools, and changes that
are found after it were made by the hook.
"""

from __future__ import annotations

import types
from collections.abc import Awaitable, Generator
from typing import Any, TypeVar

from .live import LiveTurn

T = TypeVar("T")


class lasting_step:  # noqa: N801 - a context manager, which is used like a function
    """Protect the changes that the block makes to state, stage, agent and hang-up.

    These changes are not undone if a tool is cancelled later. The block must not await anything.
    """

    __slots__ = ("_parts",)

    def __init__(self, live: LiveTurn) -> None:
        self._parts = live.busy_parts()

    def __enter__(self) -> None:
        for part in self._parts:
            part.compare()

    def __exit__(self, *raised: object) -> None:
        for part in self._parts:
            part.settle()


async def lasting(live: LiveTurn, work: Awaitable[T]) -> T:
    """Await the work of a hook or a guard, and protect its changes to state, stage, agent and hang-up.

    A tool may run at the same time as this work. If the tool is cancelled, only the changes of the tool are undone.
    """
    return await _in_steps(live, work)


async def in_background(live: LiveTurn, work: Awaitable[T]) -> T:
    """Await background work, and protect its changes as `lasting` does.

    The work goes on if the tool that started it is cancelled.
    """
    live.leave_tool()
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
        finally:
            given = None  # An error refers to this frame by its traceback; a cycle would keep the turn in memory.
        try:
            step, given = steps.send, (yield waiting)
        except GeneratorExit:
            steps.close()
            raise
        except BaseException as error:  # noqa: BLE001 - passed on to the work, as `await` does
            step, given = steps.throw, error

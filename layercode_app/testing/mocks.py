"""Mocked tools: they return the test's answers instead of, for example, placing a real order."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any

from pydantic_ai.toolsets import AbstractToolset, CombinedToolset

from ..agent.runner import AgentRunner
from ..agent.voice_agent import VoiceAgent
from ..conversation.turn import Turn
from ..exceptions import DeveloperError
from ..journal.record import Json, ToolCall, TurnRecord
from ..nearest import nearest
from ..webhook import SessionEnd

_UNSET = object()


class Mocks:
    """The mocked tools of one call, with their answers."""

    def __init__(self) -> None:
        self._answers: dict[str, Callable[..., Any]] = {}

    def set(
        self,
        tool: str,
        function: Callable[..., Any] | None = None,
        *,
        returns: Any = _UNSET,
        raises: BaseException | None = None,
    ) -> None:
        """Mock a tool with a return value, an error, or a function (sync or async) that takes the tool's arguments.

        Raises TypeError unless exactly one of the three is given.
        """
        given = [function is not None, returns is not _UNSET, raises is not None]
        if sum(given) != 1:
            raise TypeError(f"mock({tool!r}): expected exactly one of a function, returns=... or raises=...")
        self._answers[tool] = function or _constant(returns, raises)

    def stand_in(self, call: ToolCall) -> Awaitable[Json] | None:
        """Return the mocked answer to a tool call; None lets the tool run."""
        function = self._answers.get(call.name)
        return None if function is None else _answer(function, call)


def check_tool(voice: VoiceAgent[Any, Any], name: str, others: Iterable[VoiceAgent[Any, Any]]) -> None:
    """Raise DeveloperError unless the agent or one of `others` has a tool of this name.

    The agent may hand the call to the agents in `others`. Nothing is checked if the agent has no toolsets, or if a
    toolset lists its tools only at run time.
    """
    also = [other for other in others if other is not voice]
    toolsets = [leaf for one in (voice, *also) for toolset in one.toolsets for leaf in _leaves(toolset)]
    if not voice.toolsets or not all(hasattr(toolset, "tools") for toolset in toolsets):
        return
    known = sorted({tool for toolset in toolsets for tool in getattr(toolset, "tools", ())})
    if name in known:
        return
    meant = nearest(name, known)
    neither = ", and neither has any other agent here" if also else ""
    raise DeveloperError(
        f"mock({name!r}): agent {voice.name!r} has no tool of that name{neither}; expected one of "
        f"{', '.join(known) or 'none'}." + (f" Did you mean {meant!r}?" if meant else "")
    )


def _leaves(toolset: AbstractToolset[Any]) -> Iterator[AbstractToolset[Any]]:
    """Yield the toolsets that a combined toolset consists of, or the toolset itself if it is not combined."""
    if not isinstance(toolset, CombinedToolset):
        yield toolset
        return
    for part in toolset.toolsets:
        yield from _leaves(part)


def _constant(value: Any, error: BaseException | None) -> Callable[..., Any]:
    def answer(**_: Any) -> Any:
        if error is not None:
            raise error
        return value

    return answer


async def _answer(function: Callable[..., Any], call: ToolCall) -> Json:
    result = function(**(call.args or {}))
    return await result if inspect.isawaitable(result) else result


@dataclass
class Seen:
    """A record of what happened in the agent under test: failed turns, ended sessions, and started tools."""

    errors: dict[str, BaseException] = field(default_factory=dict)
    """The exception of each failed turn, by turn id."""
    ended: dict[str, BaseException | None] = field(default_factory=dict)
    """For each ended session, by its id: the exception of its `on_session_end` hooks, or None."""
    tool_started: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a tool starts."""

    def failed(self, record: TurnRecord, error: BaseException) -> None:
        """Record the exception that ended a turn."""
        self.errors[record.turn_id] = error


class RecordingRunner(AgentRunner):
    """An agent runner that answers mocked tool calls, and records started tools and ended sessions.

    `connect` opens the agent's connections in the agent's first turn. With None, they are opened at the start.
    """

    def __init__(
        self,
        voice: VoiceAgent[Any, Any],
        mocks: Mocks,
        seen: Seen,
        connect: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        super().__init__(voice)
        self._mocks, self._seen = mocks, seen
        self._connect = connect
        self._connecting: asyncio.Task[None] | None = None
        self.opens_at_start = connect is None

    async def answer(self, turn: Turn[Any, Any]) -> None:
        """Let the agent answer a turn with the mocked tools."""
        turn.live.run.stand_in = self._stand_in
        if self._connect is not None:
            await self._connected(self._connect)
        await super().answer(turn)

    async def _connected(self, connect: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if self._connecting is None:
            # The connections outlive the turn, so they must not keep the turn's context.
            self._connecting = asyncio.create_task(connect(), context=Context())
        await asyncio.shield(self._connecting)

    def _stand_in(self, call: ToolCall) -> Awaitable[Json] | None:
        self._seen.tool_started.set()
        return self._mocks.stand_in(call)

    async def end_session(self, event: SessionEnd) -> None:
        """Run the `on_session_end` hooks, and record that they ended and with which exception."""
        try:
            await super().end_session(event)
        except BaseException as error:
            self._seen.ended[event.session_id] = error
            raise
        self._seen.ended[event.session_id] = None

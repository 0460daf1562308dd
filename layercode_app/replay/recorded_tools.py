"""Answer tool calls with recorded results, so that a fork does not, for example, place an order twice."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, get_type_hints

from pydantic import PydanticSchemaGenerationError, TypeAdapter, ValidationError

from ..agent.stage import NEXT_STAGE
from ..agent.voice_agent import VoiceAgent
from ..conversation.turn import Turn
from ..journal.record import Json, ToolCall, TurnRecord
from ..journal.record_json import sorted_json
from .recording import agent_of
from .tool_effects import repeat

LONGEST_SECONDS = 5.0
"""Maximum delay of a recorded result. It is delayed as long as the tool took in the call, up to this limit."""
NOT_RUN = "{name} was not run: this is a rehearsal of a recorded call, and the recording has no such tool call."


@dataclass(slots=True)
class _Recorded:
    """A recorded tool call and its turn. `used` tells whether its result was given to a new tool call."""

    call: ToolCall
    turn: TurnRecord
    used: bool = False


class Recordings:
    """Answers a tool call with the recorded result of the same agent's tool for the same arguments.

    `answering` sets the recorded turn that is answered again. The recorded calls of this turn are used first, and their
    effects are repeated too. If a recorded call of another turn is used, its effects are not repeated, because they may
    depend on the state during that turn.

    `voices` are the agents that answer now. Recorded results are JSON, and are converted to the return types of their
    tools. If an agent answers in place of an agent with another name, `in_place_of` maps the name of the answering agent
    to the recorded name. A result is delayed as long as the tool took, but at most `longest` seconds.
    """

    def __init__(
        self,
        turns: Iterable[TurnRecord],
        *,
        voices: Iterable[VoiceAgent[Any, Any]],
        in_place_of: Mapping[str, str] | None = None,
        longest: float = LONGEST_SECONDS,
    ) -> None:
        self.used: dict[str, Literal["recording", "nothing"]] = {}
        """For each tool call, by its id: "recording" if a recorded result answered the call, else "nothing"."""
        self._types = {voice.name: result_types(voice) for voice in voices}
        self._in_place_of = in_place_of or {}
        self._longest = longest
        self._turn: TurnRecord | None = None
        self._calls: dict[tuple[str, str, bytes], list[_Recorded]] = defaultdict(list)
        for turn in turns:
            for call in turn.tools:
                if call.status in ("done", "failed"):
                    self._calls[_key(agent_of(call, turn), call)].append(_Recorded(call, turn))

    def answering(self, turn: TurnRecord | None) -> None:
        """Set which recorded turn is answered again; None if the caller says more than was recorded."""
        self._turn = turn
        for recorded in chain.from_iterable(self._calls.values()):
            # An earlier turn without such a call may have used this recording. Now its own turn needs it.
            recorded.used = recorded.used and recorded.turn is not turn

    def __call__(self, call: ToolCall, turn: Turn[Any, Any]) -> Awaitable[Any] | None:
        """Return the recorded answer to a tool call of this turn.

        Return None for the tool `next_stage`. It then runs, because it only changes the stage.
        """
        return None if call.name == NEXT_STAGE else self._answer(call, turn)

    async def _answer(self, call: ToolCall, turn: Turn[Any, Any]) -> Any:
        """Return the recorded result after the time that the tool took.

        The result may have been recorded in any turn of the call. If it was recorded in the turn that is answered
        again, also repeat the effects of the recorded call.

        Raises ToolFailed if no result is recorded, or if the recorded call failed.
        """
        from pydantic_ai.exceptions import ToolFailed

        recorded = self._take(self._in_place_of.get(turn.agent, turn.agent), call)
        self.used[call.id] = "recording" if recorded else "nothing"
        if recorded is None:
            raise ToolFailed(NOT_RUN.format(name=call.name))
        own = recorded.turn is self._turn
        await asyncio.sleep(min(_seconds(recorded.call), self._longest))
        if own:
            repeat(recorded.call, recorded.turn, turn)
        if recorded.call.status == "failed":
            raise ToolFailed(f"{call.name} failed: {recorded.call.result}")
        return self._typed(turn.agent, call.name, recorded.call.result)

    def _take(self, agent: str, call: ToolCall) -> _Recorded | None:
        """Return the next recording of this call by the agent, or None if the call was never recorded.

        When all recordings are used, the last one is used for all further calls.
        """
        known = self._calls.get(_key(agent, call))
        if not known:
            return None
        unused = [one for one in known if not one.used]
        recorded = next((one for one in unused if one.turn is self._turn), (unused or known[-1:])[0])
        recorded.used = True
        return recorded

    def _typed(self, agent: str, name: str, result: Json) -> Any:
        types = self._types.get(agent, {})
        if name not in types:
            return result
        with suppress(ValidationError, PydanticSchemaGenerationError):
            return TypeAdapter(types[name]).validate_python(result)
        return result


def result_types(voice: VoiceAgent[Any, Any]) -> dict[str, Any]:
    """Return the annotated return type of each function tool of the agent and its stages."""
    types: dict[str, Any] = {}
    leaves: list[Any] = []
    for toolset in voice.toolsets:
        toolset.apply(leaves.append)
    for toolset in leaves:
        for name, tool in getattr(toolset, "tools", {}).items():
            # An annotation may name a type that is imported only for type checking.
            with suppress(NameError, TypeError):
                hints = get_type_hints(getattr(tool, "function", tool))
                types |= {name: hints["return"]} if "return" in hints else {}
    return types


def _key(agent: str, call: ToolCall) -> tuple[str, str, bytes]:
    return agent, call.name, sorted_json(call.args)


def _seconds(call: ToolCall) -> float:
    return max((call.ended_ms or call.started_ms) - call.started_ms, 0.0) / 1000

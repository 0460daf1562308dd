"""The caller's consent to the tool calls of one run. For the tools in `confirm`, no other approval counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..conversation.pending import Pending, key_of
from ..conversation.turn import Turn
from .confirm_options import question_of
from .plain_messages import jsonable

if TYPE_CHECKING:
    from pydantic_ai import ToolDefinition

    from .voice_agent import VoiceAgent


class Consent:
    """Tells whether the caller has agreed to a tool call.

    `offered` has the tool calls about which the caller was asked. If the model repeats such a call, it counts as
    approved. `decided` has the caller's decisions about the tool calls at the start of the run, by the calls' ids.
    """

    def __init__(
        self,
        voice: VoiceAgent[Any, Any],
        turn: Turn[Any, Any],
        offered: Pending | None = None,
        decided: Mapping[str, Any] | None = None,
    ) -> None:
        self._voice, self._turn, self._offered = voice, turn, offered
        self.given = {call_id for call_id, decision in (decided or {}).items() if decision is True}
        """The ids of the tool calls to which the caller has agreed."""
        self._left = _keys(offered.calls if offered else ())
        """The tool calls of `offered` that the model has not repeated yet."""

    def unapproved(self, ctx: Any, tools: Sequence[ToolDefinition]) -> list[ToolDefinition]:
        """Mark the tools in `confirm` as unapproved, so that PydanticAI does not begin to execute their calls.

        Otherwise, a capability of the agent could execute a call elsewhere before the caller is asked.
        """
        confirm = self._voice.confirm
        return [
            replace(tool, kind="unapproved") if tool.name in confirm and tool.kind == "function" else tool
            for tool in tools
        ]

    def asked_about(self, call: Any) -> bool:
        """Return whether this tool call waits for the caller's answer.

        It may nevertheless run, because a capability of the agent may approve it before the caller has answered.
        """
        return _key(call) in _keys((self._turn.record.pending or {}).get("calls", ()))

    async def to(self, call: Any) -> bool:
        """Return whether the caller has agreed to this tool call.

        The result is False if the question about the tool call would now be different. Only one call with the same tool
        and arguments is approved.
        """
        if call.tool_call_id in self.given:
            return True
        args, key = call.args_as_dict(), _key(call)
        if self._offered is None or key not in self._left:
            return False
        self._left.discard(key)
        # Values in the question, such as the total, may have changed since. The caller agreed only to the old values.
        if await question_of(self._voice, self._turn, call.tool_name, args) not in self._offered.question:
            return False
        self.given.add(call.tool_call_id)
        return True


def _key(call: Any) -> tuple[str, bytes]:
    return key_of(call.tool_name, jsonable(call.args_as_dict()))


def _keys(calls: Iterable[Mapping[str, Any]]) -> set[tuple[str, bytes]]:
    return {key_of(call["name"], call["args"]) for call in calls}

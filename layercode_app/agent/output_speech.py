"""Speak the output of a completed run: through `speak=`, after a validator accepted it, or as an explanation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..conversation.turn import Turn
from ..exceptions import HookError
from ..journal.record import ToolCall

if TYPE_CHECKING:
    from .speech_writer import SpeechWriter
    from .voice_agent import VoiceAgent

NOT_APPROVED = "I'm sorry, that needs an approval that I can't get during this call, so I have not done it."
"""Said when a tool call waits for an approval: the caller must know that the tool did not run."""
NOT_RUN = "The tool was not run: it needs an approval, which cannot be given during a call."
"""The result of such a call that the model reads in the next turns."""


async def speak_output(voice: VoiceAgent[Any, Any], turn: Turn[Any, Any], writer: SpeechWriter, output: Any) -> None:
    """Speak the output, or the part of it that was not spoken while it streamed.

    Raises HookError if the output is not text, nothing was said, and `VoiceAgent` was given no `speak`.
    """
    from pydantic_ai import DeferredToolRequests

    if voice.speak is not None:
        await writer.speak_output(voice.speak(output))
    elif isinstance(output, DeferredToolRequests):
        _say_not_approved(turn, output)
    elif writer.holds:
        await (writer.speak_output(output) if isinstance(output, str) else writer.release())
    elif not isinstance(output, str) and output is not None and not turn.live.spoken.begun:
        raise HookError(
            f"Agent {voice.name!r} answered with {type(output).__name__}, which is no text, and nothing was said. "
            f"Say how it is spoken: VoiceAgent({voice.name!r}, ..., speak=lambda output: ...)"
        )


def _say_not_approved(turn: Turn[Any, Any], output: Any) -> None:
    calls = [*output.approvals, *output.calls]
    names = ", ".join(call.tool_name for call in calls)
    now = turn.live.elapsed_ms()
    for call in calls:
        args = call.args_as_dict()
        turn.record.tools.append(ToolCall(call.tool_call_id, call.tool_name, args, now, now, "failed", NOT_RUN))
    turn.log.error(
        "The agent asked for approval of {}, but a voice call has no way to approve a tool, so it was not run. "
        "To change what the caller hears, pass speak=... to VoiceAgent.",
        names,
    )
    turn.record.impact = "refusal"
    turn.live.spoken.begin_segment()
    turn.say(NOT_APPROVED)

"""Speak the output of a run if it was not spoken while it streamed.

This may be the text from `speak=`, a validated text, the text of an output function, or the question before a tool call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..conversation.plain_words import plain_words
from ..conversation.turn import Turn
from ..exceptions import HookError
from ..journal.record import ToolCall
from .confirmation import ask

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse

    from .speech_writer import SpeechWriter
    from .voice_agent import VoiceAgent

NOT_APPROVED = "I'm sorry, that can't be done during this call, so I have not done it."
"""Spoken when the agent defers a tool call to another program: the caller must know that the tool did not run."""
NOT_RUN = "The tool was not run: it is executed by another program, which cannot be done during a call."
"""The recorded result of a tool call that the agent deferred. The model reads it in the next turns."""


async def speak_output(
    voice: VoiceAgent[Any, Any],
    turn: Turn[Any, Any],
    writer: SpeechWriter,
    output: Any,
    responses: Sequence[ModelResponse],
) -> None:
    """Speak the output, or the part of it that was not spoken while it streamed. `responses` are the run's responses.

    Raises HookError if the output is not text, nothing was said, and `VoiceAgent` was given no `speak`.
    """
    from pydantic_ai import DeferredToolRequests

    if isinstance(output, DeferredToolRequests) and not _speaks_approvals(voice):
        await writer.wait_for_hook()
        if output.calls:
            _refuse_external(turn, output.calls, say=not output.approvals)
        if output.approvals:
            await ask(voice, turn, output)
    elif voice.speak is not None:
        await writer.speak_output(voice.speak(output))
    elif isinstance(output, str):
        if not _was_spoken(writer, output, responses):
            await writer.speak_output(output)
    elif writer.holds:
        await writer.release(responses[-1].text if responses else None)
    elif output is not None and not turn.live.spoken.begun:
        raise HookError(
            f"Agent {voice.name!r} answered with {type(output).__name__}, which is not text, so nothing was said. "
            f"Pass a function that turns it into text: VoiceAgent({voice.name!r}, ..., speak=lambda output: ...)"
        )


def _speaks_approvals(voice: VoiceAgent[Any, Any]) -> bool:
    """Return whether the developer's `speak` is called with deferred tool calls.

    It is called with them if three conditions hold: there is a `speak`, the agent's own output type includes
    DeferredToolRequests, and no tool has a `confirm`.
    """
    return voice.speak is not None and not voice.asks_first and not voice.confirm


def _was_spoken(writer: SpeechWriter, output: str, responses: Sequence[ModelResponse]) -> bool:
    """Return whether the output is the text of the last response, which was already spoken, or the last words of it.

    This also holds if a capability of the agent has changed the text since: the caller must not hear it twice. It also
    holds for a summary of the history, which is not meant for the caller.
    """
    if not responses:
        return False
    if not (text := responses[-1].text):
        return _is_summary(responses[-1])
    if not responses[-1].tool_calls:
        if writer.holds:
            return False
        if responses[-1].state == "complete":
            return True
    said, words = (plain_words(writer.filtered(one)) for one in (text, output))
    return f" {said}".endswith(f" {words}")


def _is_summary(response: ModelResponse) -> bool:
    """Return whether a response is only the provider's summary of the history, which PydanticAI takes for the output."""
    return not response.tool_calls and any(part.part_kind == "compaction" for part in response.parts)


def _refuse_external(turn: Turn[Any, Any], calls: Sequence[Any], *, say: bool) -> None:
    now = turn.live.elapsed_ms()
    for call in calls:
        args = call.args_as_dict()
        turn.record.tools.append(ToolCall(call.tool_call_id, call.tool_name, args, now, now, "failed", NOT_RUN))
    turn.log.error(
        "The agent deferred tool calls to another program: {}. A voice call cannot wait for them, so they were not "
        "run. To change what the caller hears, pass speak=... to VoiceAgent.",
        ", ".join(call.tool_name for call in calls),
    )
    turn.record.impact = "refusal"
    if say:
        turn.live.spoken.begin_segment()
        turn.say(NOT_APPROVED)

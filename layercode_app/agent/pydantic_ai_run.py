"""Run a PydanticAI agent for one turn, and speak its text while it streams.

The run is driven node by node, so that text before *and* after tool calls is spoken as soon as it arrives. Thinking is
never spoken. Messages, usage and cost are written into the turn's record even if the run fails or is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from typing import Any

from pydantic_ai import Agent, DeferredToolResults
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ModelResponse, PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta, ToolCallPart

from ..conversation.model_requests import Hedge, insert_hedge
from ..conversation.tool_call_ids import with_unique_ids
from ..conversation.turn import Turn
from ..exceptions import ModelStalledError
from .bounded_model import SETTING, bounded, has_several, others_handle_failures
from .capabilities import watch
from .confirmation import RunInput
from .consent import Consent
from .hedged_model import hedged
from .output_speech import speak_output
from .pause_timeout import Pauses
from .retried_requests import RetriedRequests
from .retry import Retries, may_have_worked
from .selected_model import SelectedModel, may_switch_model
from .speech_writer import SpeechWriter
from .stage_run import stage_options
from .system_prompts import instructions_for, without_old_prompts
from .usage import requesting, write_down
from .voice_agent import VoiceAgent


async def run_with_retries(
    voice: VoiceAgent[Any, Any], turn: Turn[Any, Any], writer: SpeechWriter, given: RunInput
) -> None:
    """Run the agent. Retry a run that failed before any word of the model was spoken and before any tool was called."""
    retries = Retries(turn)
    while True:
        try:
            return await _run_once(voice, turn, writer, retries, given)
        except Exception as error:  # errors that are not transient are raised again
            if retries.has_spoken() or turn.record.tools or turn.live.run.worked or not await retries.again(error):
                raise
            turn.live.spoken.drop_half()


async def _run_once(
    voice: VoiceAgent[Any, Any], turn: Turn[Any, Any], writer: SpeechWriter, retries: Retries, given: RunInput
) -> None:
    """Run the PydanticAI agent, and speak its text while it streams."""
    assert voice.agent is not None
    deps, live = voice.deps(turn) if voice.deps else turn, turn.live
    history = _history(voice, turn, given)
    responses: list[ModelResponse] = []
    async with voice.agent.iter(
        given.prompt,
        deps=deps,
        message_history=history,
        conversation_id=turn.conversation_id,
        **_model_options(
            voice, turn, retries, watch(voice, turn, Consent(voice, turn, given.offered, given.approvals))
        ),
        **_options(voice, turn, given, history),
    ) as running:
        try:
            async for node in running:
                if Agent.is_model_request_node(node):
                    writer.begin()
                    with requesting(running, turn, responses):
                        async with node.stream(running.ctx) as events:
                            await _speak_text(events, turn, writer if voice.speak is None else None)
                    turn.live.run.response += 1
                elif Agent.is_call_tools_node(node):
                    if writer.holds and any(isinstance(part, ToolCallPart) for part in node.model_response.parts):
                        await writer.release(node.model_response.text)
                    async with node.stream(running.ctx) as events:
                        async for _ in events:
                            pass
                    if live.flow is not None and live.flow.leaving:
                        break  # The call was handed over, so this agent says nothing more.
        finally:
            write_down(running, turn, responses, given.lead)
            live.run.worked = may_have_worked(running.new_messages(), live.run.not_started)
    if running.result is not None:
        await speak_output(voice, turn, writer, running.result.output, responses)
    turn.live.run.answered = True


def _options(
    voice: VoiceAgent[Any, Any], turn: Turn[Any, Any], given: RunInput, history: list[Any] | None
) -> dict[str, Any]:
    """Return the arguments of the run that are needed only for approvals, stages, confirmed tools or system prompts."""
    assert voice.agent is not None
    options: dict[str, Any] = {}
    if given.approvals:
        options["deferred_tool_results"] = DeferredToolResults(approvals=dict(given.approvals))
        turn.live.run.response = max(turn.live.run.response, 1)  # The first response is the one with the decided calls.
    instructions = instructions_for(voice.agent, history)
    if voice.stages:
        options |= stage_options(voice, turn)
        instructions.append(options["instructions"])
    if instructions:
        options["instructions"] = instructions
    if voice.asks_first:
        options["output_type"] = voice.output_with_deferred
    return options


def _model_options(
    voice: VoiceAgent[Any, Any], turn: Turn[Any, Any], retries: Retries, watching: AbstractCapability[Any]
) -> dict[str, Any]:
    """Return the arguments that set a run's model, model settings and capabilities. One capability is `watching`."""
    added = [watching, RetriedRequests(turn, retries)] if others_handle_failures(voice.agent) else [watching]

    def wrap(model: Any) -> Any:
        return bounded(voice.agent, _hedged(voice, turn, model), retries, _model_settings(voice, turn, model)[1])

    def settings_for(model: Any) -> Any:
        return _model_settings(voice, turn, model)[0]

    if voice.selects_model:
        return {"capabilities": [*added, SelectedModel(turn, settings_for, wrap)]}
    own = {"model_settings": settings_for(turn.model)}
    if may_switch_model(voice.agent):
        return own | {"capabilities": [*added, SelectedModel(turn, settings_for, wrap)], "model": turn.model}
    return own | {"capabilities": added, "model": wrap(turn.model)}


def _hedged(voice: VoiceAgent[Any, Any], turn: Turn[Any, Any], model: Any) -> Any:
    """Return a model of the turn, wrapped to send slow requests a second time if `hedge_after` is set."""
    live = turn.live

    def note(hedge: Hedge) -> None:
        insert_hedge(live, hedge, asyncio.get_running_loop().time())

    return hedged(model, voice.second_model, live.run.hedge_after, note)


def _history(voice: VoiceAgent[Any, Any], turn: Turn[Any, Any], given: RunInput) -> list[Any] | None:
    history = turn.history if voice.remembers else []
    if given.lead:
        # The messages of this turn may come from another agent's model, which may restart the ids of its tool calls.
        history = with_unique_ids([*history, *given.lead])
    return without_old_prompts(voice.agent, history) or None


def _model_settings(voice: VoiceAgent[Any, Any], turn: Turn[Any, Any], model: Any) -> tuple[Any, float]:
    """Return the settings of a model's requests, and the first-token timeout that BoundedModel applies (0: none).

    If the agent's own settings have a first-token timeout, or if several models may answer a request, PydanticAI applies
    the timeout instead, and 0 is returned.
    Retries by the provider's client are off by default, because they add seconds of silence; `Retries` replaces them.
    """
    settings = {"max_retries": 0, **voice.model_settings}
    seconds = turn.live.run.first_token_timeout
    own = getattr(voice.agent, "model_settings", None)
    if SETTING in settings or (isinstance(own, dict) and SETTING in own):
        return settings, 0
    if seconds and has_several(voice.agent, model):
        return settings | {SETTING: seconds}, 0
    return settings, seconds


async def _speak_text(events: AsyncIterable[Any], turn: Turn[Any, Any], writer: SpeechWriter | None) -> None:
    """Speak the text of a response while it streams. Raises ModelStalledError if the model pauses for too long."""
    live = turn.live
    pauses = Pauses(live.run.piece_timeout)
    try:
        with pauses:
            async for event in events:
                pauses.over()
                if isinstance(event, PartStartEvent):
                    live.first_token()
                    if writer is not None and not isinstance(event.part, TextPart):
                        await writer.break_off()
                    if event.previous_part_kind not in (None, "text"):
                        live.spoken.begin_segment()
                text = _text_of(event) if writer is not None else None
                if writer is not None and text:
                    await writer.say(text)
                pauses.begin()
    except TimeoutError as error:
        if not pauses.passed:
            raise
        raise ModelStalledError(
            f"The model paused for longer than {live.run.piece_timeout:g} s within its answer. "
            "For a slower model, increase LAYERCODE_PIECE_TIMEOUT."
        ) from error
    if writer is not None:
        await writer.pause()


def _text_of(event: Any) -> str | None:
    """Return the text that an event adds to the response, or None."""
    if isinstance(event, PartDeltaEvent):
        return event.delta.content_delta if isinstance(event.delta, TextPartDelta) else None
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    return None

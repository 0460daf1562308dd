"""One turn through the agent: greeting, hook or PydanticAI run, streamed so that every text is spoken.

The run is driven node by node, so text before *and* after tool calls is heard, as it comes and without debounce;
thinking never is. What the run did is written into the turn's record however it ends.
"""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Any

from pydantic_ai import Agent
from pydantic_ai.messages import (
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
)

from ..conversation.record import Kind, Source
from ..conversation.turn import Turn
from ..observability import spans
from .guard import guarded
from .hooks import speak_answer
from .mouth import Mouth
from .offline import offline_model
from .retry import transient
from .thinking import Thinking
from .traced import watch
from .usage import requesting, write_down, write_down_helpers

if TYPE_CHECKING:
    from .voice_agent import VoiceAgent

RETRY_SECONDS = (0.2, 0.8)
"""Pauses before a transient model error is tried again, while nothing was spoken."""


async def answer(voice: VoiceAgent[Any, Any], turn: Turn[Any, Any]) -> None:
    """Speak the reply to a turn."""
    turn.model = _model(voice)
    try:
        await _answer(voice, turn)
    finally:
        if turn.live.helpers is not None:
            write_down_helpers(turn)


async def _answer(voice: VoiceAgent[Any, Any], turn: Turn[Any, Any]) -> None:
    if turn.record.kind is Kind.GREETING:
        with spans.span("greeting"):
            await _greet(voice, turn)
    elif hooks := voice.hooks.get("message"):
        with spans.span("on_message"):
            await _speak_answer(turn, hooks[0](turn), "say", "on_message")
    elif voice.agent is None:
        raise _nothing_to_say(voice)
    else:
        async with Thinking(voice, turn) as thinking:
            speaking = _run_with_retries(voice, turn, Mouth(voice, turn, thinking))
            await (speaking if voice.guard is None else guarded(voice.guard, turn, speaking))


async def _greet(voice: VoiceAgent[Any, Any], turn: Turn[Any, Any]) -> None:
    for hook in voice.hooks.get("session_start", ()):
        await hook(turn)
    greeting = voice.greeting(turn) if callable(voice.greeting) else voice.greeting
    await _speak_answer(turn, greeting, "greeting", "greeting")


async def _speak_answer(turn: Turn[Any, Any], answer: Any, source: Source, hook: str) -> None:
    await speak_answer(
        answer, lambda text: turn.speak(text, source), hook, say_last=lambda text: turn.speak_last(text, source)
    )


def _nothing_to_say(voice: VoiceAgent[Any, Any]) -> Exception:
    from ..exceptions import HookError

    return HookError(f"VoiceAgent({voice.name!r}) has neither a PydanticAI agent nor an on_message hook. Add one.")


async def _run_with_retries(voice: VoiceAgent[Any, Any], turn: Turn[Any, Any], mouth: Mouth) -> None:
    import asyncio

    for pause in RETRY_SECONDS:
        try:
            return await run(voice, turn, mouth)
        except Exception as error:  # whatever is not transient is raised again
            if not transient(error) or turn.live.spoke or turn.record.tools:
                raise
            turn.record.retries += 1
            turn.log.warning("The model failed and is tried again in {} s: {}", pause, type(error).__name__)
            await asyncio.sleep(pause)
    return await run(voice, turn, mouth)


async def run(voice: VoiceAgent[Any, Any], turn: Turn[Any, Any], mouth: Mouth) -> None:
    """Run the PydanticAI agent on what the caller said, speaking as it goes."""
    assert voice.agent is not None
    deps = voice.deps(turn) if voice.deps else turn
    async with voice.agent.iter(
        turn.text,
        deps=deps,
        message_history=turn.history if voice.remembers else None,
        model=turn.model,
        model_settings=_model_settings(voice),
        conversation_id=turn.conversation_id,
        capabilities=[watch(voice, turn)],
    ) as running:
        try:
            async for node in running:
                if Agent.is_model_request_node(node):
                    with requesting(running, turn):
                        async with node.stream(running.ctx) as events:
                            await _speak_text(events, turn, mouth if voice.speak is None else None)
                    turn.live.response += 1
                elif Agent.is_call_tools_node(node):
                    async with node.stream(running.ctx) as events:
                        async for _ in events:
                            pass
        finally:
            write_down(running, turn)
    if voice.speak is not None and running.result is not None:
        turn.live.response = max(turn.live.response - 1, 0)
        await mouth.say(voice.speak(running.result.output))
        await mouth.pause()


def _model(voice: VoiceAgent[Any, Any]) -> Any:
    """What answers: the server's choice, the agent's own, or the script; an agent that is only a hook has none."""
    own = voice.agent.model if voice.agent is not None else None
    return voice.model or own or (offline_model(voice.script) if voice.agent is not None else None)


def _model_settings(voice: VoiceAgent[Any, Any]) -> Any:
    """The agent's, without the provider's own retries: those are seconds of silence, ours stop once it spoke."""
    return {"max_retries": 0, **voice.model_settings}


async def _speak_text(events: AsyncIterable[Any], turn: Turn[Any, Any], mouth: Mouth | None) -> None:
    async for event in events:
        if isinstance(event, PartStartEvent):
            turn.live.first_token()
            if mouth and isinstance(event.part, TextPart):
                await mouth.say(event.part.content)
        elif mouth and isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
            await mouth.say(event.delta.content_delta)
    if mouth:
        await mouth.pause()

"""Run one turn of an agent: a greeting, a hook or a PydanticAI run, whose text is spoken while it streams.

The run is driven node by node, so that text before *and* after tool calls is spoken at once, without debounce. Thinking
is never spoken. Messages, usage and cost are written into the turn's record however the run ends.
"""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Any

from pydantic_ai import Agent
from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta, ToolCallPart

from ..conversation.record import Kind, Source
from ..conversation.turn import Turn
from ..exceptions import ModelStalledError
from ..observability import spans
from .bounded import SETTING, bounded, has_several
from .guard import guarded
from .hooks import speak_answer
from .mouth import Mouth
from .offline import offline_model
from .output_speech import speak_output
from .pauses import Pauses
from .prompting import prompt_of
from .retry import Retries
from .thinking import Thinking
from .traced import watch
from .usage import requesting, write_down, write_down_helpers

if TYPE_CHECKING:
    from .voice_agent import VoiceAgent


async def answer(voice: VoiceAgent[Any, Any], turn: Turn[Any, Any]) -> None:
    """Speak the reply of a turn."""
    turn.model = _model(voice)
    _set_limits(voice, turn)
    try:
        await _answer(voice, turn)
    finally:
        if turn.live.helpers is not None:
            write_down_helpers(turn)


async def answer_data(voice: VoiceAgent[Any, Any], turn: Turn[Any, Any], data: Any) -> Any:
    """Run the `on_data` hooks. Return the JSON answer to the page: the last hook's result."""
    turn.model = _model(voice)
    answered: Any = None
    try:
        for hook in voice.hooks.get("data", ()):
            answered = await hook(turn, data)
    finally:
        if turn.live.helpers is not None:
            write_down_helpers(turn)
    return answered


async def _answer(voice: VoiceAgent[Any, Any], turn: Turn[Any, Any]) -> None:
    if turn.record.kind is Kind.GREETING:
        with spans.span("greeting"):
            await _greet(voice, turn)
    elif hooks := voice.hooks.get("message"):
        with spans.span("on_message"):
            await _speak_answer(turn, hooks[0](turn), "say", "on_message")
    elif voice.agent is None:
        raise _nothing_to_say(voice)
    elif (prompt := prompt_of(turn)) is not None:
        async with Thinking(voice, turn) as thinking:
            speaking = _run_with_retries(voice, turn, Mouth(voice, turn, thinking), prompt)
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


async def _run_with_retries(voice: VoiceAgent[Any, Any], turn: Turn[Any, Any], mouth: Mouth, prompt: str) -> None:
    """Run the agent, and retry it if it failed before a word of the model was spoken and before a tool was called."""
    retries = Retries(turn)
    while True:
        try:
            return await run(voice, turn, mouth, retries, prompt)
        except Exception as error:  # errors that are not transient are raised again
            if turn.live.model_spoke or turn.record.tools or not await retries.again(error):
                raise


async def run(voice: VoiceAgent[Any, Any], turn: Turn[Any, Any], mouth: Mouth, retries: Retries, prompt: str) -> None:
    """Run the PydanticAI agent with the prompt, and speak its text while it streams."""
    assert voice.agent is not None
    deps = voice.deps(turn) if voice.deps else turn
    settings, seconds = _model_settings(voice, turn)
    async with voice.agent.iter(
        prompt,
        deps=deps,
        message_history=turn.history if voice.remembers else None,
        model=bounded(voice.agent, turn.model, retries, seconds),
        model_settings=settings,
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
                    if mouth.holds and any(isinstance(part, ToolCallPart) for part in node.model_response.parts):
                        await mouth.release()
                    async with node.stream(running.ctx) as events:
                        async for _ in events:
                            pass
        finally:
            write_down(running, turn)
    if running.result is not None:
        await speak_output(voice, turn, mouth, running.result.output)
    turn.live.answered = True


def _set_limits(voice: VoiceAgent[Any, Any], turn: Turn[Any, Any]) -> None:
    """Override the timeouts of the settings by those of the agent."""
    if voice.first_token_timeout is not None:
        turn.live.first_token_timeout = voice.first_token_timeout
    if voice.piece_timeout is not None:
        turn.live.piece_timeout = voice.piece_timeout


def _model(voice: VoiceAgent[Any, Any]) -> Any:
    """Return the model that answers: the server's choice, else the agent's own, else the offline script.

    Returns None for a voice agent without a PydanticAI agent.
    """
    own = voice.agent.model if voice.agent is not None else None
    return voice.model or own or (offline_model(voice.script) if voice.agent is not None else None)


def _model_settings(voice: VoiceAgent[Any, Any], turn: Turn[Any, Any]) -> tuple[Any, float]:
    """Return the settings of the model's requests, and the first-token timeout that BoundedModel applies (0: none).

    PydanticAI applies the timeout itself if the agent's settings have it, or if several models may answer a request.
    The provider's own retries are off by default: they add seconds of silence, and ours stop once the model spoke.
    """
    settings = {"max_retries": 0, **voice.model_settings}
    seconds = turn.live.first_token_timeout
    own = getattr(voice.agent, "model_settings", None)
    if SETTING in settings or (isinstance(own, dict) and SETTING in own):
        return settings, 0
    if seconds and has_several(voice.agent, turn.model):
        return settings | {SETTING: seconds}, 0
    return settings, seconds


async def _speak_text(events: AsyncIterable[Any], turn: Turn[Any, Any], mouth: Mouth | None) -> None:
    """Speak the text of a response while it streams. Raises ModelStalledError if the model pauses for too long."""
    live = turn.live
    pauses = Pauses(live.piece_timeout)
    if mouth is not None:
        mouth.begin()
    try:
        with pauses:
            async for event in events:
                pauses.over()
                if isinstance(event, PartStartEvent):
                    live.first_token()
                    if event.previous_part_kind not in (None, "text"):
                        live.begin_segment()
                text = _text_of(event) if mouth is not None else None
                if mouth is not None and text:
                    await mouth.say(text)
                pauses.begin()
    except TimeoutError as error:
        if not pauses.passed:
            raise
        raise ModelStalledError(
            f"The model paused for longer than {live.piece_timeout:g} s within its answer. "
            "A slower one needs a larger LAYERCODE_PIECE_TIMEOUT."
        ) from error
    if mouth is not None:
        await mouth.pause()


def _text_of(event: Any) -> str | None:
    """Return the text that an event adds to the response, or None."""
    if isinstance(event, PartDeltaEvent):
        return event.delta.content_delta if isinstance(event.delta, TextPartDelta) else None
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    return None

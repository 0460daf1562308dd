"""Run the agent of a turn: speak its greeting, its hook's answer, or the answer of a model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from ..blank import is_blank
from ..conversation.fillers import Filler
from ..conversation.flow import GREETED
from ..conversation.lasting import lasting
from ..conversation.page_data import to_json
from ..conversation.session_values import YES
from ..conversation.stages import write_down_helpers
from ..conversation.turn import Turn
from ..exceptions import HookError
from ..journal.record import Json, Kind, Source
from ..observability import spans
from ..webhook import Data, Event, SessionEnd, SessionUpdate
from .backchannels import is_listening, keep_hangup, resume
from .guard import guarded
from .hooks import speak_answer
from .message_prompt import GO_ON, LISTENED, prompt_of
from .models import given_model
from .offline import offline_model
from .summarise import enqueue_summary
from .take_notes import caller_of
from .thinking import Thinking
from .voice_agent import VoiceAgent
from .voicemail import leave_message

if TYPE_CHECKING:
    from .confirmation import RunInput

T = TypeVar("T")


class AgentRunner:
    """Runs a voice agent for the turn engine. Implements `AgentProtocol`."""

    opens_at_start = True
    """Whether the agent's connections are opened when the server starts; see `LayerCode.open_connections`."""

    def __init__(self, voice: VoiceAgent[Any, Any]) -> None:
        self.voice = voice
        # These are attributes, because each turn reads them several times. Values that may change later are properties.
        self.name = voice.name
        self.state_type: type[BaseModel] | None = voice.state_type
        self.metadata_type: type[BaseModel] | None = voice.metadata_type
        self.apology = voice.apology
        self.timeout_apology = voice.timeout_apology
        self.tool_apology = voice.tool_apology
        self.turn_timeout = voice.turn_timeout
        self.tool_timeout = voice.tool_timeout
        self.stage_names: Sequence[str] = voice.stages.names

    # --- what the engine reads

    @property
    def fingerprint(self) -> str:
        """A short hash that changes with the agent's prompt, tools, hooks, output or model."""
        return self.voice.fingerprint

    @property
    def filler(self) -> Filler | None:
        """The filler for silences; None if fillers are off."""
        return self.voice.filler

    @property
    def sums_up(self) -> bool:
        """Whether the agent's older turns become a running summary."""
        return self.voice.sums_up

    @property
    def remembers(self) -> bool:
        """Whether the agent reads the earlier turns."""
        return self.voice.remembers

    def caller_of(self, turn: Turn[Any, Any]) -> str:
        """Return the key under which notes about the caller are kept; "" if the agent keeps no notes."""
        return "" if self.voice.remember is None else caller_of(self.voice, turn)

    # --- what the engine calls

    async def answer(self, turn: Turn[Any, Any]) -> None:
        """Speak the reply of a turn."""
        turn.model = _model(self.voice)
        _set_limits(self.voice, turn)
        try:
            await _with_helpers(turn, self._speak_reply(turn))
            self.voice.stages.follow(turn)
        finally:
            if self.voice.sums_up:  # This also runs for interrupted turns, because they make the history longer, too.
                enqueue_summary(self.voice, turn)

    async def answer_data(self, turn: Turn[Any, Any], event: Data) -> Json:
        """Run the `on_data` hooks. Return the JSON answer to the event: the last hook's result."""
        turn.model = _model(self.voice)
        return await _with_helpers(turn, self._run_data_hooks(turn, event))

    async def _run_data_hooks(self, turn: Turn[Any, Any], event: Data) -> Json:
        answered: Json = None
        for hook in self.voice.hooks.get("data", ()):
            answered = to_json("on_data", await hook(turn, event.data))
        return answered

    async def notify(self, event: Event) -> None:
        """Run the hooks that only observe an event. `on_session_end` hooks are not run here: a job runs them."""
        for hook in self.voice.hooks.get("event", ()):
            await hook(event)
        if isinstance(event, SessionUpdate):
            for hook in self.voice.hooks.get("session_update", ()):
                await hook(event)

    async def end_session(self, event: SessionEnd) -> None:
        """Run the `on_session_end` hooks."""
        for hook in self.voice.hooks.get("session_end", ()):
            await hook(event)

    # --- the reply

    async def _speak_reply(self, turn: Turn[Any, Any]) -> None:
        flow = turn.live.flow
        # Only the first agent of a turn decides pending calls. An agent that takes over must not run them again.
        first = flow is None or not flow.taken_from
        if first and turn.asked is not None and await self._decided(turn):
            return
        if turn.record.kind is Kind.GREETING:
            with spans.span("greeting"):
                await self._greet(turn)
            return
        if self.voice.voicemail is not None and self._calls_out(turn) and await leave_message(self.voice, turn):
            return
        if self._greets_now(turn):
            await self._speak_greeting(turn)
            return
        listener = self.voice.listener
        listening = listener is not None and is_listening(listener, turn)
        if not listening or not await resume(turn):
            await self._answer_message(turn, listening=listening)

    async def _decided(self, turn: Turn[Any, Any]) -> bool:
        """Handle the message as the caller's answer if tool calls wait for one. Return whether it was handled."""
        from .confirmation import Decision, waiting

        hooked = "message" in self.voice.hooks or self.voice.agent is None
        pending = waiting(turn, for_model=turn.record.kind is Kind.MESSAGE and not hooked)
        if pending is None:
            return False
        decision = Decision(self.voice, turn, pending)
        if not await decision.without_model():
            await self._run_model(turn, decision.run_input())
            await decision.end()
        return True

    async def _answer_message(self, turn: Turn[Any, Any], *, listening: bool) -> None:
        voice = self.voice
        if hooks := voice.hooks.get("message"):
            with spans.span("on_message"):
                await _speak_hook(turn, hooks[0], "say", "on_message")
        elif voice.agent is None:
            raise HookError(
                f"VoiceAgent({voice.name!r}) has neither a PydanticAI agent nor an on_message hook. Add one."
            )
        elif (prompt := prompt_of(turn, listening=listening)) is not None:
            from .confirmation import RunInput
            from .takeover import taken_over

            if prompt in (GO_ON, LISTENED):
                keep_hangup(turn)
            handed = turn.live.flow is not None and turn.live.flow.taken_from
            await self._run_model(turn, taken_over(turn) if handed else RunInput(prompt))

    async def _greet(self, turn: Turn[Any, Any]) -> None:
        for hook in self.voice.hooks.get("session_start", ()):
            await lasting(turn.live, hook(turn))
        flow = turn.live.flow
        if flow is not None and flow.leaving:
            return  # A hook handed the call over, so this agent says nothing more.
        if not self._waits(turn):
            await self._speak_greeting(turn)

    def _waits(self, turn: Turn[Any, Any]) -> bool:
        waits = self.voice.greeting_waits
        return waits(turn) if callable(waits) else waits

    def _calls_out(self, turn: Turn[Any, Any]) -> bool:
        """Return whether an answering machine may be on the line. If `greeting_waits` is a function, it decides."""
        return not callable(self.voice.greeting_waits) or self._waits(turn)

    def _greets_now(self, turn: Turn[Any, Any]) -> bool:
        """Return whether the greeting had to wait until the other side said something, and must be spoken now.

        If so, record the greeting as spoken.
        """
        flow, waits = turn.live.flow, self.voice.greeting_waits
        if not waits or flow is None or self.voice.greeting is None or is_blank(turn.text) or not self._waits(turn):
            return False
        greeted = flow.kept_for(GREETED, turn.session_id) is not None
        flow.keep_for(GREETED, turn.session_id, YES)
        return not greeted

    async def _speak_greeting(self, turn: Turn[Any, Any]) -> None:
        greeting = self.voice.greeting
        await _speak_hook(turn, greeting if callable(greeting) else lambda turn: greeting, "greeting", "greeting")

    async def _run_model(self, turn: Turn[Any, Any], given: RunInput) -> None:
        # These import PydanticAI, which an agent without a model does not need.
        from .pydantic_ai_run import run_with_retries
        from .speech_writer import SpeechWriter

        voice = self.voice
        async with Thinking(voice, turn) as thinking:
            speaking = run_with_retries(voice, turn, SpeechWriter(voice, turn, thinking), given)
            await (guarded(voice.guards, turn, speaking) if voice.guards else speaking)


async def _with_helpers(turn: Turn[Any, Any], work: Awaitable[T]) -> T:
    """Await the work and return its result. Record the usage of the helper agents that the work ran."""
    try:
        return await work
    finally:
        write_down_helpers(turn.live)


async def _speak_hook(turn: Turn[Any, Any], hook: Callable[[Turn[Any, Any]], Any], source: Source, name: str) -> None:
    await speak_answer(
        turn, hook, name, lambda text: turn.speak(text, source), say_last=lambda text: turn.speak_last(text, source)
    )
    turn.live.run.answered = True


def _set_limits(voice: VoiceAgent[Any, Any], turn: Turn[Any, Any]) -> None:
    """Override the timeouts of the settings with the agent's own, if it has any."""
    if voice.first_token_timeout is not None:
        turn.live.run.first_token_timeout = voice.first_token_timeout
    if voice.piece_timeout is not None:
        turn.live.run.piece_timeout = voice.piece_timeout
    if voice.hedge_after is not None:
        turn.live.run.hedge_after = voice.hedge_after


def _model(voice: VoiceAgent[Any, Any]) -> Any:
    """Return the model that answers: the server's choice, else the agent's own, else the offline script.

    Returns None for a voice agent without a PydanticAI agent. Also returns None if neither the server nor the agent
    names a model, but the agent has a capability that selects the model of each request.
    """
    if voice.agent is None or voice.model is not None:
        return voice.model
    return given_model(voice.agent) or (None if voice.selects_model else offline_model(voice.script))

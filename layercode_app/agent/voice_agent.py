"""`VoiceAgent` declares a voice agent. An agent file registers an agent by assigning it to a module-level name."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, overload

from pydantic import BaseModel
from typing_extensions import TypeVar

from ..conversation.fillers import Filler
from ..conversation.turn import MetadataT, StateT, Turn
from .backchannels import Backchannels, listener_of
from .confirm_options import Confirm, Question, confirms_of, has_tools, needs_confirmation
from .declaration_checks import (
    check_dependencies,
    check_greeting,
    check_guard,
    check_mappings,
    check_model_class,
    check_name,
    check_output,
    check_remember,
    check_saved_fields,
    check_seconds,
    check_speak,
    check_state,
    check_switches,
    check_texts,
    check_unknown,
)
from .filler_options import FillerTexts, filler_of, is_offline, offline_filler
from .fingerprint import fingerprint
from .guard import Guard, guards_of
from .hook_decorators import Hooks
from .live_judges import Judges, live_judges
from .models import given_model, selects_model
from .option_checks import check_model, check_waits
from .speakable import Speakable, speakable_of
from .stage import Stage, Stages
from .summarise import Summarised, check_summary, writes
from .tool_policy import ToolPolicy, policies_of
from .voicemail import Message, Voicemail, voicemail_of

if TYPE_CHECKING:
    from pydantic_ai.agent import AbstractAgent
    from pydantic_ai.models import Model
    from pydantic_ai.toolsets import AbstractToolset

    from .tool_servers import ToolServer

DepsT = TypeVar("DepsT", default=Any)
OutputT = TypeVar("OutputT", default=Any)
Greeting: TypeAlias = "str | Callable[[Turn[Any, Any]], str | Awaitable[str] | AsyncIterator[str]] | None"
Waits: TypeAlias = "bool | Callable[[Turn[Any, Any]], bool]"
Tools: TypeAlias = "Mapping[str, str | ToolPolicy] | None"


class VoiceAgent(Hooks, Generic[StateT, MetadataT]):
    """A voice agent: a name, and either a PydanticAI agent or an `on_message` hook.

    Args:
        name: The agent's address: `--agent NAME`, `POST /api/agents/NAME`.
        agent: The PydanticAI agent that answers. Without `deps`, its dependencies are the `Turn`.
        state: A Pydantic model class for `turn.state`. Each conversation has its own instance, saved with every turn.
            Each field needs a default, because a new conversation begins without values.
        metadata: A Pydantic model class for `turn.metadata`, which is a dictionary by default.
        deps: A function of the turn that returns the agent's dependencies. Required if the `deps_type` of `agent` is
            neither `Turn` nor None.
        greeting: The opening words, or a function of the turn that returns or streams them.
        greeting_waits: Whether the greeting waits until the other side has spoken, as in a call that the agent makes. A
            function of the turn decides for each call: `lambda turn: turn.outbound`.
        voicemail: The message to leave on an answering machine before the call is ended: a text, a function of the
            turn, or a `Voicemail`. If `greeting_waits` is a function, machines are recognised only in calls for which
            it returns True.
        speak: A function that turns the agent's output into the text to speak, for output that is not text.
        apology: The words for a turn that fails; by default the setting LAYERCODE_APOLOGY.
        filler: What to say during a silence: one text or several, each spoken at most once a turn. False disables
            fillers. By default an agent with a model says the texts of the setting LAYERCODE_FILLER.
        filler_after: Seconds of silence at the start of a turn until a filler is spoken.
        filler_every: Seconds from the last words to the next filler, even while a tool runs. The default is 3.5 for an
            agent with a model. By default, other agents speak a filler only before their first words.
        guard: A check, or a list of checks, that runs concurrently with the model on every message that the model
            answers. If it returns a text, that text replaces the rest of the reply. See `no_card_numbers`,
            `prompt_injection` and `stay_on_topic`.
        turn_timeout: Seconds a turn may take; by default the setting LAYERCODE_TURN_TIMEOUT.
        tool_timeout: Seconds one tool call may take; by default the setting LAYERCODE_TOOL_TIMEOUT.
        first_token_timeout: Seconds until the model must begin to answer a request; by default the setting
            LAYERCODE_FIRST_TOKEN_TIMEOUT. A model that reasons for long needs more.
        piece_timeout: Seconds the model may pause within an answer; by default the setting LAYERCODE_PIECE_TIMEOUT.
        hedge_after: Seconds to wait for the first token before the request is sent a second time. The answer that
            begins first is spoken. By default the setting LAYERCODE_HEDGE_AFTER; 0 means never.
        hedge_model: The model that the second request goes to; by default the setting LAYERCODE_HEDGE_MODEL, else the
            same model.
        timeout_apology: The words for a turn that runs out of time.
        tool_apology: The words for a turn that fails after a tool was called. They should not ask the caller to repeat
            the request, because that may order something twice. By default `apology`, else the setting
            LAYERCODE_TOOL_APOLOGY.
        tools: By tool name, the effect of an interruption on the running tool: "cancel" (default), "finish" or
            "finish_and_tell". A `ToolPolicy` also has the words for a slow tool.
        backchannels: Whether an interrupted reply, unless it asked a question, continues after a message that is only a
            listening sound ("mhm", "right"). A list chooses languages and adds sounds: `["en", "fair enough"]`.
        confirm: By tool name, the question to ask before the tool runs: a text with fields such as {total}, a function
            of the turn and the arguments, or a `Confirm`. Tools with `requires_approval=True` are also confirmed, unless a
            capability of the agent approves or denies them.
        stages: The parts of a call, in order; each `Stage` has its own instructions and tools.
        summary: Whether older turns that no longer fit the history become a running summary. True uses the model of the
            setting LAYERCODE_SUMMARY_MODEL, else the agent's own. A name or a model selects another model. Or pass an
            async function that gets the previous summary (or None) and the transcript since then, and returns the new
            summary.
        remember: A function of the turn that returns the caller's id, such as a customer number, or None. Notes about
            the caller are then kept from call to call in `turn.notes`. After each call, a model adds more notes.
        judges: Names of stock judges, questions of your own, or a dictionary that maps names of scores to questions.
            After a call, the model of the setting LAYERCODE_JUDGE_MODEL, else the agent's own, answers the questions
            about the whole call. The answers become scores of the call's last turn.
        judge_sample: The share of calls that are judged, from 0 to 1.
        notices: Whether to tell the browser the name and status of each tool call when it starts and ends.
        speakable: Whether to remove markdown, emoji and link syntax from the model's text while it streams.
            `Speakable(numbers=True)` also says numbers, money, dates, addresses and abbreviations as words.
        history: Whether earlier turns are read; by default only if there is a PydanticAI agent.
        model_settings: Settings of the model's requests.

    The decorator `@agent.offline` sets the script that answers without a model; see `layercode_app.Scene`.

    Raises DeveloperError or HookError for an argument of the wrong type, and for an argument that does not exist.

    """

    @overload
    def __init__(
        self,
        name: str,
        agent: AbstractAgent[Turn[StateT, MetadataT], Any] | AbstractAgent[None, Any] | None = None,
        *,
        state: type[StateT] | None = None,
        metadata: type[MetadataT] | None = None,
        greeting: Greeting = None,
        speak: Callable[[Any], str] | None = None,
        apology: str | None = None,
        filler: FillerTexts = None,
        filler_after: float = 1.5,
        filler_every: float | None = None,
        greeting_waits: Waits = False,
        voicemail: Message | Voicemail | None = None,
        guard: Guard | Sequence[Guard] | None = None,
        turn_timeout: float | None = None,
        tool_timeout: float | None = None,
        first_token_timeout: float | None = None,
        piece_timeout: float | None = None,
        hedge_after: float | None = None,
        hedge_model: Model | str | None = None,
        timeout_apology: str | None = None,
        tool_apology: str | None = None,
        tools: Tools = None,
        notices: bool = False,
        backchannels: Backchannels = False,
        confirm: Mapping[str, Question | Confirm] | None = None,
        stages: Sequence[Stage] = (),
        summary: Summarised = False,
        remember: Callable[[Turn[StateT, MetadataT]], str | None] | None = None,
        judges: Judges = (),
        judge_sample: float = 0.05,
        history: bool | None = None,
        speakable: bool | Speakable = False,
        model_settings: Mapping[str, Any] | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        name: str,
        agent: AbstractAgent[DepsT, Any],
        *,
        deps: Callable[[Turn[StateT, MetadataT]], DepsT],
        state: type[StateT] | None = None,
        metadata: type[MetadataT] | None = None,
        greeting: Greeting = None,
        speak: Callable[[Any], str] | None = None,
        apology: str | None = None,
        filler: FillerTexts = None,
        filler_after: float = 1.5,
        filler_every: float | None = None,
        greeting_waits: Waits = False,
        voicemail: Message | Voicemail | None = None,
        guard: Guard | Sequence[Guard] | None = None,
        turn_timeout: float | None = None,
        tool_timeout: float | None = None,
        first_token_timeout: float | None = None,
        piece_timeout: float | None = None,
        hedge_after: float | None = None,
        hedge_model: Model | str | None = None,
        timeout_apology: str | None = None,
        tool_apology: str | None = None,
        tools: Tools = None,
        notices: bool = False,
        backchannels: Backchannels = False,
        confirm: Mapping[str, Question | Confirm] | None = None,
        stages: Sequence[Stage] = (),
        summary: Summarised = False,
        remember: Callable[[Turn[StateT, MetadataT]], str | None] | None = None,
        judges: Judges = (),
        judge_sample: float = 0.05,
        history: bool | None = None,
        speakable: bool | Speakable = False,
        model_settings: Mapping[str, Any] | None = None,
    ) -> None: ...
    def __init__(
        self,
        name: str,
        agent: AbstractAgent[Any, Any] | None = None,
        *,
        deps: Callable[[Turn[Any, Any]], Any] | None = None,
        state: type[StateT] | None = None,
        metadata: type[MetadataT] | None = None,
        greeting: Greeting = None,
        speak: Callable[[Any], str] | None = None,
        apology: str | None = None,
        filler: FillerTexts = None,
        filler_after: float = 1.5,
        filler_every: float | None = None,
        greeting_waits: Waits = False,
        voicemail: Message | Voicemail | None = None,
        guard: Guard | Sequence[Guard] | None = None,
        turn_timeout: float | None = None,
        tool_timeout: float | None = None,
        first_token_timeout: float | None = None,
        piece_timeout: float | None = None,
        hedge_after: float | None = None,
        hedge_model: Model | str | None = None,
        timeout_apology: str | None = None,
        tool_apology: str | None = None,
        tools: Tools = None,
        notices: bool = False,
        backchannels: Backchannels = False,
        confirm: Mapping[str, Question | Confirm] | None = None,
        stages: Sequence[Stage] = (),
        summary: Summarised = False,
        remember: Callable[[Turn[Any, Any]], str | None] | None = None,
        judges: Judges = (),
        judge_sample: float = 0.05,
        history: bool | None = None,
        speakable: bool | Speakable = False,
        model_settings: Mapping[str, Any] | None = None,
        **unknown: object,
    ) -> None:
        check_name(name)
        check_unknown(name, unknown, known=VoiceAgent.__init__.__kwdefaults__ or ())
        check_model_class("state", state)
        check_saved_fields(state)
        check_state(state)
        check_model_class("metadata", metadata)
        check_mappings(
            tools=(tools, "{'pay': 'finish'}"),
            confirm=(confirm, "{'pay': 'Shall I charge your card?'}"),
            model_settings=(model_settings, "{'temperature': 0.2}"),
        )
        check_switches(notices=notices, history=history)
        self.tools = policies_of(tools)
        check_seconds(
            filler_after=filler_after,
            filler_every=filler_every,
            turn_timeout=turn_timeout,
            tool_timeout=tool_timeout,
            first_token_timeout=first_token_timeout,
            piece_timeout=piece_timeout,
            hedge_after=hedge_after,
        )
        check_texts(apology=apology, timeout_apology=timeout_apology, tool_apology=tool_apology)
        check_guard(guard)
        check_greeting("greeting", greeting)
        check_waits("VoiceAgent greeting_waits", greeting_waits)
        check_model("VoiceAgent hedge_model", hedge_model)
        check_speak(speak)
        check_output(name, agent, speak)
        check_dependencies(name, agent, deps, state=state, metadata=metadata)
        self.name = name
        self.agent = agent
        if agent is not None and agent.name is None:
            # Otherwise PydanticAI calls every agent "agent", also in spans.
            agent.name = name
        self.state_type: type[BaseModel] | None = state  # type: ignore[assignment]
        self.metadata_type: type[BaseModel] | None = metadata  # type: ignore[assignment]
        self.greeting = greeting
        self.deps = deps
        self.speak = speak
        self.apology = apology
        self.greeting_waits = greeting_waits
        self.voicemail = voicemail_of(voicemail)
        self.guards = guards_of(guard)
        self.turn_timeout = turn_timeout
        self.tool_timeout = tool_timeout
        self.first_token_timeout = first_token_timeout
        self.piece_timeout = piece_timeout
        self.hedge_after = hedge_after
        self.hedge_model = hedge_model
        """The declared model for repeats of slow requests. None means LAYERCODE_HEDGE_MODEL, else the turn's model."""
        self.second_model = None if isinstance(hedge_model, str) else hedge_model
        """The model for repeats of slow requests; None means the model that answers. The server sets it."""
        self.timeout_apology = timeout_apology
        self.tool_apology = apology if tool_apology is None else tool_apology
        self._filler = filler_of(filler, filler_after, filler_every, model=agent is not None, tools=self.tools)
        self.listener = listener_of(backchannels)
        self.confirm = confirms_of(confirm)
        self.stages = Stages(stages)
        check_summary(summary)
        self.summary: Any = summary
        """The declared summary; the server sets `summary_model` from it."""
        self.summary_model: Model | None = None
        """The model that writes summaries; None means the model that answers."""
        check_remember(remember)
        self.remember = remember
        self.judges = live_judges(judges, judge_sample)
        self.judge_model: Model | None = None
        """The model of the judges; None means the model that answers. The server sets it."""
        self.notices = notices
        self.remembers = agent is not None if history is None else history
        self.speakable = speakable_of(speakable)
        self.model_settings = dict(model_settings or {})
        super().__init__()
        self.model: Model | None = None
        """The model of the turns; None means the agent's own. The server sets it from `--model` and the settings."""
        self.tool_servers: Mapping[int, ToolServer] = {}
        """The agent's open MCP servers by the `id()` of their toolsets. Set while the agent is served."""
        self._fingerprint = ""
        self.title = ""

    def __repr__(self) -> str:
        return f"VoiceAgent({self.name!r})"

    @property
    def fingerprint(self) -> str:
        """The agent's version: a short hash of its prompt, tools, hooks, output and model."""
        if not self._fingerprint:
            self._fingerprint = fingerprint(self)
        return self._fingerprint

    @property
    def filler(self) -> Filler | None:
        """The filler for silences, or None. Offline there is no default filler, because the script answers at once."""
        return offline_filler(self._filler) if is_offline(self.agent, self.model) else self._filler

    @property
    def selects_model(self) -> bool:
        """Whether the agent itself selects the model of each request. False if the server has set `model`."""
        return self.model is None and selects_model(self.agent)

    @property
    def toolsets(self) -> list[AbstractToolset[Any]]:
        """The toolsets of the PydanticAI agent and of all stages."""
        own = [] if self.agent is None else list(self.agent.toolsets)
        return [*own, *self.stages.toolsets.values()] if self.stages else own

    @property
    def summary_writer(self) -> Any:
        """The model that writes summaries."""
        given = self.summary if hasattr(self.summary, "request") else None
        return given or self.summary_model or self.model or given_model(self.agent)

    @property
    def judge_writer(self) -> Any:
        """The model that judges calls."""
        return self.judge_model or self.model or given_model(self.agent)

    @property
    def sums_up(self) -> bool:
        """Whether older turns become a summary. The offline script cannot write summaries."""
        if not self.summary or not self.remembers:
            return False
        return inspect.isroutine(self.summary) or writes(self.summary_writer)

    @cached_property
    def asks_first(self) -> bool:
        """Whether to add DeferredToolRequests to the output types of runs, because a tool may have to be confirmed.

        False if the agent's own output types already include this type. Otherwise, True if a tool is known to need a
        confirmation. If none is known, a tool may still ask for one during a run. So the result is also True if the
        agent may have tools, and `takes_deferred` allows adding the type.
        """
        from .outputs import may_defer, takes_deferred

        if self.agent is None or may_defer(self.agent):
            return False
        return needs_confirmation(self, self.confirm) or (has_tools(self) and takes_deferred(self.agent))

    @cached_property
    def output_with_deferred(self) -> list[Any]:
        """The output type of runs if `asks_first` is true."""
        from .outputs import with_deferred

        assert self.agent is not None
        return with_deferred(self.agent)

    def use_model(self, model: Model | None) -> None:
        """Answer with this model from now on; None means the agent's own model."""
        self.model, self._fingerprint = model, ""

    def describe(self, title: str) -> None:
        """Set the agent's one-line title. It is taken from the docstring of the agent's module."""
        self.title = title


Agents: TypeAlias = Sequence[VoiceAgent[Any, Any]]

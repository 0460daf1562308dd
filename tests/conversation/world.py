"""A world for property tests: agents whose model and tool run step by step, and a record of the truth.

The truth is a list of what was said and heard. The code under test has no part in it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from layercode_app import Message, Stage, Turn, VoiceAgent
from layercode_app.agent.runner import AgentRunner
from layercode_app.collect import Collecting, Email
from layercode_app.conversation.admission import TurnHandler
from layercode_app.conversation.listener import Listener
from layercode_app.journal.record import Frame, Json, TurnRecord
from layercode_app.journal.stores.base import Store
from layercode_app.settings.limits import Limits

CONVERSATION = "conversation"
QUESTION = "Shall I book it?"
AGENTS = ("stepper", "other")
"""The two agents of a conversation. The tool `bump` changes the agent's stage and hands over to the other agent."""
STAGES = ("even", "odd")
"""The stages of an agent. Its stage is "even" if its tool `bump` has run an even number of times, otherwise "odd"."""


class Count(Collecting):
    tools: int = 0
    pages: int = 0
    email: str = ""


@dataclass
class Plan:
    """The steps of a turn: words, perhaps a tool call, and words after it. The turn needs a permit for each step."""

    text: str
    before: list[str]
    tool: bool
    after: list[str]
    asks: bool = False
    """Whether the turn ends with a tool call that the caller must confirm."""
    collects: str = ""
    """The tool of a collector that the turn calls. The agent says what the tool returns."""
    returned: str = ""
    """What the collector's tool returned."""
    permits: int = 0
    passed: int = 0
    runs: int = 0
    tool_runs: int = 0
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def steps(self) -> int:
        return len(self.before) + self.tool + len(self.after)

    def spoken(self, steps: int) -> str:
        """Return the text that is heard after this number of steps."""
        cut = max(steps - self.tool, 0) if steps > len(self.before) else steps
        return "".join((self.before + self.after)[:cut])

    async def step(self) -> None:
        while self.passed >= self.permits:
            self.waiting.set()
            self.moved.clear()
            await self.moved.wait()
        self.waiting.clear()
        self.passed += 1

    async def advance(self, steps: int) -> None:
        """Permit this number of further steps, and wait until the next one asks for a permit."""
        self.permits += steps
        self.waiting.clear()
        self.moved.set()
        await self.waiting.wait()
        # The model has yielded its text by now. The text reaches the listener within a few steps of the event loop.
        for _ in range(20):
            await asyncio.sleep(0)

    def finish(self) -> None:
        self.permits = 1 << 30
        self.moved.set()


@dataclass
class Past:
    """The truth of one earlier turn."""

    turn_id: str
    user: str
    heard: str
    spoken: str
    tool_done: bool = False
    tool_called: bool = False
    finished: bool = True
    before: str = ""
    """The words that the caller heard before the turn's first worker died; "" if no worker died."""
    complete: bool = False
    """Whether all of the reply was written."""
    joined: str = ""
    """The heard part of the interrupted reply that this turn continues, with the space after it; otherwise ""."""
    frames: list[tuple[str, Json]] = field(default_factory=list)

    @property
    def unheard(self) -> str:
        """The words that the caller did not hear; "" if the reply is incomplete or followed a crash."""
        return self.spoken.removeprefix(self.heard).lstrip() if self.complete and not self.before else ""


class Ear:
    """A listener that writes down what it is sent."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.listener = Listener(self._take)

    async def _take(self, frames: Sequence[Frame]) -> None:
        self.frames += frames

    @property
    def spoken(self) -> str:
        return "".join(frame.content for frame in self.frames if frame.type == "response.tts")

    @property
    def seen(self) -> list[tuple[str, Json]]:
        return [(frame.type, frame.content) for frame in self.frames]


class World:
    """One conversation with the two agents: the plans of its turns, the requests to the model, and what really happened.

    The real course of each turn is in `truth`.
    """

    def __init__(self) -> None:
        self.plans: dict[str, Plan] = {}
        self.truth: list[Past] = []
        self.tools = self.booked = 0
        self.emails = ["", ""]
        """The address that the caller confirmed to each agent."""
        self.requests: list[list[ModelMessage]] = []
        self.agents = self._agents()
        self.agent = self.agents[0]
        self.finished: list[TurnRecord] = []

    @property
    def at(self) -> tuple[str, str]:
        """The agent that answers the next turn, and its stage."""
        own = self.tools_of(agent := self.tools % 2)
        return AGENTS[agent], STAGES[own % 2]

    def tools_of(self, agent: int) -> int:
        """How many tools of the first or the second agent ran."""
        return (self.tools + 1 - agent) // 2

    def _agents(self) -> list[VoiceAgent[Any, Any]]:
        agent = Agent(FunctionModel(stream_function=self._model), deps_type=Turn[Count], toolsets=[Email("email")])

        @agent.tool
        async def bump(ctx: RunContext[Turn[Count]]) -> str:
            plan = self.plans[ctx.deps.text]
            plan.tool_runs += 1
            await plan.step()
            ctx.deps.state.tools += 1
            ctx.deps.go_to(STAGES[ctx.deps.state.tools % 2])
            ctx.deps.hand_to(AGENTS[ctx.deps.agent == AGENTS[0]])
            return "bumped"

        @agent.tool_plain
        async def book() -> str:
            self.booked += 1
            return "booked"

        stages = [Stage(name) for name in STAGES]
        return [
            VoiceAgent(name, agent, confirm={"book": QUESTION}, state=Count, backchannels=True, stages=stages)
            for name in AGENTS
        ]

    async def _model(self, messages: list[ModelMessage], info: AgentInfo) -> Any:
        self.requests.append(list(messages))
        plan = self.plans[callers_words(messages)[-1]]
        answered = isinstance(messages[-1].parts[-1], ToolReturnPart)
        if not answered:
            plan.runs += 1
        for word in plan.after if answered else plan.before:
            await plan.step()
            yield word
        if plan.tool and not answered:
            yield {9: DeltaToolCall(name="bump", json_args="{}", tool_call_id=f"call-{plan.text}")}
        elif plan.asks and not answered:
            yield {9: DeltaToolCall(name="book", json_args="{}", tool_call_id=f"call-{plan.text}")}
        elif plan.collects:
            async for part in self._collect(plan, messages if answered else None):
                yield part
        elif not (plan.after if answered else plan.before):
            yield ""

    async def _collect(self, plan: Plan, answer: list[ModelMessage] | None) -> Any:
        """Call the collector's tool with the caller's words. In the next request, say the result of the tool."""
        if answer is None:
            heard = {"heard": plan.text} if plan.collects.startswith("save") else {}
            yield {9: DeltaToolCall(name=plan.collects, json_args=json.dumps(heard), tool_call_id=f"call-{plan.text}")}
            return
        await plan.step()
        (returned,) = (part.content for part in answer[-1].parts if isinstance(part, ToolReturnPart))
        plan.returned = str(returned)
        yield plan.returned

    def handler(self, store: Store) -> TurnHandler:
        agents = {voice.name: AgentRunner(voice) for voice in self.agents}
        limits = Limits(history_tokens=1_000_000)
        return TurnHandler(store, limits=limits, finished=self.finished.append, agents=lambda: agents)

    def start(
        self, handler: TurnHandler, plan: Plan, turn_id: str, ear: Ear, context: dict[str, Json] | None = None
    ) -> asyncio.Task[None]:
        event = Message.model_validate(
            {
                "session_id": "s",
                "conversation_id": CONVERSATION,
                "turn_id": turn_id,
                "text": plan.text,
                "interruption_context": context,
            }
        )
        answer = handler.admit(AgentRunner(self.agent), event, ear.listener, received=time.perf_counter())
        return asyncio.ensure_future(answer)

    def expected(self) -> list[tuple[str, str]]:
        """Return the lines of the turns so far. The transcript of the next model request must begin with them."""
        lines: list[tuple[str, str]] = []
        for past in self.truth:
            lines.append(("user", past.user))
            if heard := past.before + (past.joined + past.heard if past.heard else past.joined.rstrip()):
                lines.append(("assistant", heard))
        return lines


def callers_words(messages: Sequence[ModelMessage]) -> list[str]:
    """Return what callers said, without the notes in square brackets."""
    return [text for role, text in transcript(messages) if role == "user"]


def transcript(messages: Sequence[ModelMessage]) -> list[tuple[str, str]]:
    """Return the messages as lines: each message of a caller, and all that the assistant said until the next one."""
    lines: list[tuple[str, str]] = []
    for message in messages:
        for part in message.parts:
            if isinstance(part, UserPromptPart):
                assert isinstance(part.content, str)
                if not part.content.startswith("["):
                    lines.append(("user", part.content))
            elif isinstance(part, TextPart) and part.content:
                if lines and lines[-1][0] == "assistant":
                    lines[-1] = ("assistant", lines[-1][1] + part.content)
                else:
                    lines.append(("assistant", part.content))
    return lines


def unpaired_calls(messages: Sequence[ModelMessage]) -> list[str]:
    """Return the ids of the tool calls that do not have exactly one result before the model's next response."""
    wrong: list[str] = []
    for index, message in enumerate(messages):
        if not isinstance(message, ModelResponse):
            continue
        calls = [part.tool_call_id for part in message.parts if isinstance(part, ToolCallPart)]
        answers: list[str] = []
        for later in messages[index + 1 :]:
            if not isinstance(later, ModelRequest):
                break
            answers += [part.tool_call_id for part in later.parts if isinstance(part, ToolReturnPart)]
        wrong += [call for call in calls if answers.count(call) != 1]
    return wrong

"""An agent's own capabilities, such as fallbacks and hooks, work together with hedged requests, timeouts and retries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest
from pydantic_ai import (
    Agent,
    ApprovalRequired,
    CallDeferred,
    DeferredToolRequests,
    DeferredToolResults,
    RunContext,
    Tool,
)
from pydantic_ai.capabilities import AbstractCapability, HandleDeferredToolCalls, Hooks, ModelFallback, ProcessHistory
from pydantic_ai.exceptions import ModelHTTPError, SkipToolExecution
from pydantic_ai.messages import ModelMessage, ModelResponse, NativeToolCallPart, TextPart, ToolReturnPart
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.function import AgentInfo, DeltaThinkingPart, DeltaToolCall, FunctionModel
from pydantic_ai.models.test import TestModel

from layercode_app import Turn, VoiceAgent
from layercode_app.journal.record import TurnRecord
from layercode_app.testing import open_call

pytestmark = pytest.mark.anyio

SOON = 0.001
"""A delay after which a request is sent again although the first one is still waiting."""
LATE = 60.0


def answering(name: str, *, after: float = 0.0, fails: bool = False) -> FunctionModel:
    """A model that says its name, or fails, after this many seconds."""

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        await asyncio.sleep(after)
        if fails:
            raise ModelHTTPError(503, name)
        yield f"I am {name}."
        yield " And you?"

    return FunctionModel(stream_function=answer, model_name=name)


async def record_of(agent: Agent[Any, Any], **options: Any) -> TurnRecord:
    """Say hello to the agent, and return the record of the turn."""
    async with open_call(VoiceAgent("own", agent, filler=False, **options)) as call:
        await call.say("hello")
        return (await call.records())[-1]


# --- capabilities that handle failed requests: PydanticAI then reads the first event early


def noting(errors: list[Exception]) -> Hooks[Any]:
    """Hooks that note the errors of model requests."""
    hooks: Hooks[Any] = Hooks()

    @hooks.on.model_request_error
    async def note(ctx: Any, *, request_context: Any, error: Exception) -> Any:
        errors.append(error)
        raise error

    return hooks


@pytest.mark.parametrize("handler", [ModelFallback(answering("fallback")), noting([])], ids=["fallback", "hooks"])
@pytest.mark.parametrize(("after", "answers"), [(0.0, "base"), (LATE, "hedge")])
async def test_a_request_can_be_hedged_if_a_capability_handles_its_errors(
    handler: AbstractCapability[Any], after: float, answers: str
) -> None:
    agent: Agent[Any, str] = Agent(answering("base", after=after), capabilities=[handler])
    hedging = {"hedge_after": SOON if after else LATE, "hedge_model": answering("hedge")}
    record = await record_of(agent, **hedging)
    assert (record.spoken_text, record.model, record.error) == (f"I am {answers}. And you?", answers, None)


async def test_a_fallback_answers_if_both_requests_of_a_hedge_fail() -> None:
    agent: Agent[Any, str] = Agent(
        answering("base", after=0.05, fails=True), capabilities=[ModelFallback(answering("fallback"))]
    )
    record = await record_of(agent, hedge_after=SOON, hedge_model=answering("hedge", fails=True))
    assert (record.spoken_text, record.model) == ("I am fallback. And you?", "fallback")


async def test_a_fallback_that_is_known_only_in_the_run_is_asked_at_once() -> None:
    fallback: ModelFallback[Any] = ModelFallback(answering("fallback"))
    record = await record_of(Agent(answering("base", fails=True), capabilities=[lambda ctx: fallback]))
    assert (record.spoken_text, record.retries) == ("I am fallback. And you?", 1)


@pytest.mark.parametrize("hooks", [[], [noting([])]], ids=["", "hooks"])
async def test_a_run_in_which_the_fallback_failed_too_begins_again_with_the_first_model(hooks: list[Any]) -> None:
    capabilities = [ModelFallback(answering("fallback", fails=True)), *hooks]
    record = await record_of(Agent(answering("base", fails=True), capabilities=capabilities))
    assert [call.model for call in record.requests] == ["base", "fallback"] * 3


async def test_a_fallback_answers_if_no_request_of_a_hedge_begins_in_time() -> None:
    agent: Agent[Any, str] = Agent(answering("base", after=LATE), capabilities=[ModelFallback(answering("fallback"))])
    slow = answering("hedge", after=LATE)
    record = await record_of(agent, hedge_after=SOON, hedge_model=slow, first_token_timeout=0.5)
    assert (record.spoken_text, record.model) == ("I am fallback. And you?", "fallback")


# --- hooks that do not handle failed requests


def fails_after_a_tool(capability: AbstractCapability[Any], *failures: Exception | float) -> Agent[Any, str]:
    """An agent that calls a tool, and whose next requests fail in this way: with an error, or after a delay.

    By default, one request fails with an error.
    """
    failures = failures or (ModelHTTPError(503, "base"),)
    responses = iter([{0: DeltaToolCall("order", "{}", tool_call_id="c")}, *failures, "Ordered."])

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        response = next(responses)
        if isinstance(response, Exception):
            raise response
        if isinstance(response, float):
            await asyncio.sleep(response)
        yield response

    agent: Agent[Any, str] = Agent(FunctionModel(stream_function=answer), capabilities=[capability])

    @agent.tool_plain
    def order() -> str:
        return "ordered"

    return agent


async def test_a_request_after_a_tool_is_retried_although_hooks_log_the_tools() -> None:
    hooks: Hooks[Any] = Hooks()
    logged: list[str] = []

    @hooks.on.before_tool_execute
    async def log(ctx: Any, *, call: Any, tool_def: Any, args: dict[str, Any]) -> dict[str, Any]:
        logged.append(call.tool_name)
        return args

    record = await record_of(fails_after_a_tool(hooks))
    assert (record.spoken_text, record.retries, logged) == ("Ordered.", 1, ["order"])


async def test_a_tool_whose_result_comes_from_a_hook_is_recorded_as_done() -> None:
    hooks: Hooks[Any] = Hooks()

    @hooks.on.before_tool_execute
    async def cached(ctx: Any, *, call: Any, tool_def: Any, args: dict[str, Any]) -> dict[str, Any]:
        raise SkipToolExecution({"loaves": iter([12])})

    record = await record_of(fails_after_a_tool(hooks))
    assert record.spoken_text == "Ordered."
    assert [(call.status, call.result) for call in record.tools] == [("done", {"loaves": [12]})]


@pytest.mark.parametrize("failure", [ModelHTTPError(503, "base"), LATE], ids=["fails", "hangs"])
async def test_a_request_after_a_tool_is_retried_although_hooks_note_its_errors(failure: Exception | float) -> None:
    errors: list[Exception] = []
    record = await record_of(fails_after_a_tool(noting(errors), failure), first_token_timeout=0.3)
    assert (record.spoken_text, record.retries, len(errors)) == ("Ordered.", 1, 1)
    assert [call.status for call in record.requests] == ["done", "failed", "done"]


async def test_hooks_are_told_of_the_last_failure_too() -> None:
    errors: list[Exception] = []
    record = await record_of(fails_after_a_tool(noting(errors), *[ModelHTTPError(503, "base")] * 3))
    assert (record.error, record.retries, len(errors)) == ("ModelHTTPError", 2, 3)


async def test_a_request_that_hooks_handle_is_left_to_them() -> None:
    hooks: Hooks[Any] = Hooks()

    @hooks.on.model_request_error
    async def recover(ctx: Any, *, request_context: Any, error: Exception) -> ModelResponse:
        return ModelResponse([TextPart("Ask me later.")])

    record = await record_of(fails_after_a_tool(hooks))
    assert (record.spoken_text, record.retries) == ("Ask me later.", 0)


# --- tools that do not run through the toolkit


charges: list[int] = []


async def charge_elsewhere(ctx: Any, requests: DeferredToolRequests) -> DeferredToolResults:
    charges.extend(call.args_as_dict()["euros"] for call in requests.calls)
    return requests.build_results(calls={call.tool_call_id: "charged" for call in requests.calls})


class Queue(AbstractCapability[Any]):
    """Runs each tool call elsewhere."""

    async def wrap_tool_execute(self, ctx: Any, *, call: Any, tool_def: Any, args: Any, handler: Any) -> Any:
        charges.append(args["euros"])
        return "charged"


def breaks_off_once(first: Any, *capabilities: AbstractCapability[Any]) -> Agent[Any, str]:
    """An agent whose first response is `first`, and whose next response breaks off once while the model reasons."""
    charges.clear()
    broken: list[ModelHTTPError] = [ModelHTTPError(503, "base")]

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        if len(messages) == 1:
            yield first
            if isinstance(first[0], DeltaToolCall):
                return
        elif broken:
            yield {0: DeltaThinkingPart(content="Hm")}
        if broken:
            raise broken.pop()
        yield "It is paid."

    agent: Agent[Any, str] = Agent(FunctionModel(stream_function=answer), capabilities=capabilities)

    @agent.tool_plain
    def charge(euros: int) -> str:
        raise CallDeferred

    return agent


CHARGE = {0: DeltaToolCall("charge", '{"euros": 50}', tool_call_id="c")}


@pytest.mark.parametrize("capability", [HandleDeferredToolCalls(charge_elsewhere), Queue()], ids=["handler", "wrapper"])
async def test_work_that_was_done_elsewhere_is_not_done_again(capability: AbstractCapability[Any]) -> None:
    record = await record_of(
        breaks_off_once(CHARGE, capability), apology="Say it again.", tool_apology="Where were we?"
    )
    assert (charges, record.retries, record.spoken_text) == ([50], 0, "Where were we?")


async def test_work_of_an_mcp_server_of_the_provider_is_not_done_again() -> None:
    remote = {0: NativeToolCallPart("mcp_server:bank", {"euros": 50}, tool_call_id="c")}
    assert (await record_of(breaks_off_once(remote))).retries == 0


async def test_a_run_whose_tool_call_was_refused_is_repeated() -> None:
    record = await record_of(breaks_off_once({0: DeltaToolCall("charge", "{}", tool_call_id="c")}, Queue()))
    assert (charges, record.retries, record.spoken_text) == ([], 1, "It is paid.")


# --- capabilities that execute a tool call again


class Again(AbstractCapability[Any]):
    """Executes a tool call that failed again, up to twice."""

    async def wrap_tool_execute(self, ctx: Any, *, call: Any, tool_def: Any, args: Any, handler: Any) -> Any:
        for _ in range(2):
            with suppress(ConnectionError):
                return await handler(args)
        return await handler(args)


def books(tool: Callable[..., str], capability: AbstractCapability[Any], *, calls: int = 1) -> Agent[Any, str]:
    """An agent that calls this tool `calls` times with the same arguments in its first response."""

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        if len(messages) == 1:
            yield {n: DeltaToolCall("book", "{}", tool_call_id=f"c{n}") for n in range(calls)}
        else:
            yield " ".join(str(part.content) for part in messages[-1].parts if isinstance(part, ToolReturnPart))

    return Agent(
        FunctionModel(stream_function=answer),
        tools=[Tool(tool, name="book")],
        capabilities=[capability],
        deps_type=Turn,
    )


@pytest.mark.parametrize("calls", [1, 2])
async def test_a_tool_that_a_capability_retries_runs_again(calls: int) -> None:
    outcomes = ["failed", "failed", "booked"]

    def book() -> str:
        if (outcome := outcomes.pop(0)) == "failed":
            raise ConnectionError
        return outcome

    record = await record_of(books(book, Again(), calls=calls))
    assert (record.spoken_text, outcomes) == (" ".join(["booked"] * calls), [])
    assert [tool.status for tool in record.tools] == ["failed"] * (2 * calls) + ["done"] * calls


async def test_a_tool_that_asks_for_an_approval_while_it_runs_runs_again_when_it_is_approved() -> None:
    def book(ctx: RunContext[Turn]) -> str:
        if not ctx.tool_call_approved:
            raise ApprovalRequired
        return "booked"

    def approve(ctx: RunContext[Any], requests: DeferredToolRequests) -> DeferredToolResults:
        return requests.build_results(approve_all=True)

    assert (await record_of(books(book, HandleDeferredToolCalls(approve)))).spoken_text == "booked"


# --- a history processor


async def last_three(messages: list[ModelMessage]) -> list[ModelMessage]:
    return messages[-3:]


async def test_requests_have_their_models_and_usage_although_the_history_is_shortened() -> None:
    responses = iter([*({0: DeltaToolCall("order", "{}", tool_call_id=f"c{n}")} for n in range(3)), "Ordered."])

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        yield next(responses)

    model = FallbackModel(answering("broken", fails=True), FunctionModel(stream_function=answer, model_name="gpt-5"))
    agent: Agent[Turn, str] = Agent(model, deps_type=Turn, capabilities=[ProcessHistory(last_three)])

    @agent.tool
    async def order(ctx: RunContext[Turn]) -> str:
        return (await Agent().run("?", model=ctx.deps.helper_model(TestModel()))).output

    record = await record_of(agent)
    own = [call for call in record.requests if not call.stage]
    assert [(call.model, call.status) for call in own] == [("broken", "failed"), ("gpt-5", "done")] * 4
    assert [call.usage.get("requests") for call in own if call.status == "done"] == [1] * 4
    assert (record.model, record.retries) == ("gpt-5", 4)
    assert record.usage["requests"] == 4 + 3  # The tool's helper is also counted.

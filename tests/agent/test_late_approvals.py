"""The caller is asked even if the agent's declaration does not show that a tool needs an approval.

PydanticAI then reports this only during the run.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import (
    Agent,
    ApprovalRequired,
    CallDeferred,
    DeferredToolRequests,
    DeferredToolResults,
    FunctionToolset,
    RunContext,
    Tool,
    ToolDefinition,
)
from pydantic_ai.capabilities import AbstractCapability, HandleDeferredToolCalls, PrepareTools

from layercode_app import Call, Confirm, Turn, VoiceAgent
from layercode_app.agent.output_speech import NOT_APPROVED
from layercode_app.testing import open_call, scripted

pytestmark = pytest.mark.anyio


class Reply(BaseModel):
    text: str


def pay(bill: int) -> str:
    """Pay the bill."""
    return f"paid {bill}"


def pay_if_approved(ctx: RunContext[Turn], bill: int) -> str:
    """Pay the bill."""
    if not ctx.tool_call_approved:
        raise ApprovalRequired
    return pay(bill)


async def unapproved(ctx: RunContext[Turn], tools: list[ToolDefinition]) -> list[ToolDefinition]:
    return [replace(tool, kind="unapproved") for tool in tools]


PARTS: dict[str, dict[str, Any]] = {
    "the tool": {"tools": [Tool(pay_if_approved, name="pay")]},
    "a dynamic toolset": {"toolsets": [lambda ctx: FunctionToolset([Tool(pay, requires_approval=True)])]},
    "a capability": {"tools": [pay], "capabilities": [PrepareTools(unapproved)]},
}


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
@pytest.mark.parametrize("answer", ["yes", "no"])
async def test_the_caller_is_asked_whatever_wants_the_approval(parts: Any, answer: str) -> None:
    voice = VoiceAgent("till", Agent(deps_type=Turn, **parts), filler=False)
    async with open_call(voice, model=scripted(Call("pay", {"bill": 3}), "Done.")) as call:
        asked = await call.say("I want to pay.")
        assert asked.spoken in ("Pay the bill. Shall I go ahead?", "Pay. Shall I go ahead?")
        assert (await call.say(answer)).spoken == "Done."
        records = await call.records()
    ran = [tool.result for record in records for tool in record.tools if tool.status == "done"]
    assert ran == (["paid 3"] if answer == "yes" else [])


def approve(ctx: RunContext[Any], requests: DeferredToolRequests) -> DeferredToolResults:
    return requests.build_results(approve_all=True)


class Queue(AbstractCapability[Any]):
    """Runs each tool call elsewhere."""

    async def wrap_tool_execute(self, ctx: Any, *, call: Any, tool_def: Any, args: Any, handler: Any) -> Any:
        return f"{await handler(args)} through the queue" if ctx.tool_call_approved else "paid elsewhere"


OWN: dict[str, AbstractCapability[Any]] = {"an approver": HandleDeferredToolCalls(approve), "a queue": Queue()}


@pytest.mark.parametrize("capability", OWN.values(), ids=OWN)
@pytest.mark.parametrize("answer", ["yes", "no", "go for it"])
@pytest.mark.parametrize("marked", [False, True], ids=["", "requires approval"])
async def test_only_the_caller_consents_to_a_tool_in_confirm(
    capability: AbstractCapability[Any], answer: str, marked: bool
) -> None:
    runs: list[int] = []

    def charge(euros: int) -> str:
        runs.append(euros)
        return f"paid {euros}"

    agent = Agent(deps_type=Turn, tools=[Tool(charge, requires_approval=marked)], capabilities=[capability])
    voice = VoiceAgent("till", agent, filler=False, confirm={"charge": "Shall I charge {euros} euros?"})
    charging = Call("charge", {"euros": 50})
    async with open_call(voice, model=scripted(charging, *[charging] * (answer == "go for it"), "Done.")) as call:
        assert (await call.say("I want to pay.")).spoken == "Shall I charge 50 euros?"
        assert runs == []
        assert (await call.say(answer)).spoken == "Done."
    assert runs == ([] if answer == "no" else [50])


async def test_an_agents_own_approver_decides_about_tools_that_are_not_in_confirm() -> None:
    tools = [Tool(pay, requires_approval=True)]
    voice = VoiceAgent("till", Agent(deps_type=Turn, tools=tools, capabilities=[OWN["an approver"]]), filler=False)
    async with open_call(voice, model=scripted(Call("pay", {"bill": 3}), "Done.")) as call:
        done = await call.say("I want to pay.")
    assert (done.spoken, [tool.result for tool in done.tools]) == ("Done.", ["paid 3"])


def cancel_order(order: int, fee: int = 10) -> str:
    """Cancel the order."""
    return "cancelled"


def remind(order: int, reason: str = "none") -> str:
    """Send a reminder for the invoice."""
    return "sent"


ORDERS, BILLING = (FunctionToolset[Turn]([Tool(tool, name="cancel")]) for tool in (cancel_order, remind))


@pytest.mark.parametrize(
    ("name", "toolsets"),
    [
        ("cancel", [BILLING.prefixed("billing"), ORDERS]),
        ("cancel", [ORDERS, BILLING.prefixed("billing")]),
        ("shop_cancel", [ORDERS.prefixed("shop"), BILLING]),
        ("stop", [ORDERS.renamed({"stop": "cancel"}), BILLING]),
    ],
)
@pytest.mark.parametrize(
    ("question", "asked"),
    [(None, "Cancel the order. Shall I go ahead?"), ("Cancel {order} for {fee} euros?", "Cancel 3 for 10 euros?")],
)
async def test_the_question_is_about_the_tool_that_the_model_knows_by_the_name(
    name: str, toolsets: Any, question: Any, asked: str
) -> None:
    voice = VoiceAgent(
        "till", Agent(deps_type=Turn, toolsets=toolsets), filler=False, confirm={name: Confirm(question)}
    )
    async with open_call(voice, model=scripted(Call(name, {"order": 3}), "Done.")) as call:
        assert (await call.say("Cancel it.")).spoken == asked
        assert (await call.say("yes")).spoken == "Done."
        assert (await call.records())[-1].tools[0].result == "cancelled"


@pytest.mark.parametrize("by", ["an approver", "the condition"])
async def test_a_call_that_runs_without_the_answer_is_not_asked_about_again(by: str) -> None:
    runs: list[int] = []
    waits = [True]

    def charge(euros: int) -> str:
        runs.append(euros)
        return "charged"

    def later(ctx: RunContext[Any], requests: DeferredToolRequests) -> DeferredToolResults | None:
        return requests.build_results(approve_all=True) if by == "an approver" and not waits else None

    tools = FunctionToolset([charge]).approval_required(lambda ctx, tool, args: by == "an approver" or bool(waits))
    agent = Agent(deps_type=Turn, toolsets=[tools], capabilities=[HandleDeferredToolCalls(later)])
    charging = Call("charge", {"euros": 50})
    async with open_call(
        VoiceAgent("till", agent, filler=False), model=scripted(charging, charging, "Charged.", "Again.")
    ) as call:
        call.interrupt(after=1, playing=True)
        await call.say("I want to pay.")
        waits.clear()
        assert (await call.say("It is from Monday, as I told your colleague.")).spoken == "Charged."
        assert (await call.say("yes")).spoken == "Again."
    assert runs == [50]


async def test_an_output_that_is_not_text_does_not_prevent_the_question() -> None:
    agent = Agent(deps_type=Turn, output_type=Reply, tools=[Tool(pay_if_approved, name="pay")])
    voice = VoiceAgent("till", agent, speak=lambda reply: reply.text, filler=False)
    model = scripted(Call("pay", {"bill": 3}), Call("final_result", {"text": "It is paid."}))
    async with open_call(voice, model=model) as call:
        assert (await call.say("I want to pay.")).spoken == "Pay the bill. Shall I go ahead?"
        assert (await call.say("yes")).spoken == "It is paid."


async def test_the_caller_hears_that_work_for_another_program_was_not_done() -> None:
    agent = Agent(deps_type=Turn)

    @agent.tool_plain
    def post() -> str:
        raise CallDeferred

    async with open_call(VoiceAgent("till", agent, filler=False), model=scripted(Call("post"), "Done.")) as call:
        assert (await call.say("Send it.")).spoken == NOT_APPROVED


def test_only_an_agent_with_tools_has_another_output_type_than_its_own() -> None:
    checked = Agent(tools=[pay])

    @checked.output_validator
    def accept(output: str) -> str:
        return output

    assert VoiceAgent("till", Agent(tools=[pay])).asks_first
    assert not VoiceAgent("till", Agent()).asks_first
    assert not VoiceAgent("till", checked).asks_first

"""The model of live judges gets no secrets: no value of a field such as `password`, and no copy of it elsewhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from layercode_app import Turn, VoiceAgent
from layercode_app.agent.summarise import LONGEST
from layercode_app.testing import open_call

pytestmark = pytest.mark.anyio

SECRETS = ("tok-of-state-1", "tok-of-tool-2", "hunter2hunter2", "key-of-caller-3", "pin-99-4711", "late-secret-77")


class Login(BaseModel):
    access_token: str = ""
    phone: str = ""


class Desk:
    """An agent whose only tool logs the caller in and returns secrets.

    The agent's answer contains one of the secrets, as a faulty agent's answer would. `cases` is what its judge got.
    """

    def __init__(self) -> None:
        self.cases: list[str] = []
        model = FunctionModel(self._judge, stream_function=self._speak, model_name="gpt-5-mini")
        agent = Agent(model, deps_type=Turn[Login], instructions=lambda ctx: f"Key: {ctx.deps.metadata['api_key']}")

        @agent.tool
        async def login(ctx: RunContext[Turn[Login]], user: str, password: str) -> dict[str, Any]:
            """Log the caller in."""
            ctx.deps.state = Login(access_token="tok-of-state-1", phone="+14155550123")
            link = f"https://example.com/?t=tok-of-state-1&k={ctx.deps.metadata['api_key']}"
            nested = {"credentials": {"value": "pin-99-4711"}, "password": password}
            return {
                "session_token": "tok-of-tool-2",
                "link": link,
                **nested,
                "rest": "x" * LONGEST,
                "secret": SECRETS[5],
            }

        self.voice = VoiceAgent("desk", agent, state=Login, judges=["task_completed"], judge_sample=1, filler=False)

    async def _speak(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        if isinstance(messages[-1].parts[-1], ToolReturnPart):
            yield "You are logged in as ann with tok-of-tool-2."
        else:
            given = json.dumps({"user": "ann", "password": "hunter2hunter2"})
            yield {0: DeltaToolCall("login", given, tool_call_id="call-1")}

    async def _judge(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.cases.append(str(messages[-1].parts[0]) + str(messages))
        verdict = json.dumps({"answer": "yes", "reason": "So it was."})
        return ModelResponse(parts=[ToolCallPart(info.output_tools[0].name, verdict)])


async def test_judges_get_no_secrets() -> None:
    desk = Desk()
    async with open_call(desk.voice, metadata={"api_key": "key-of-caller-3"}) as call:
        await call.say("I am ann, and my word is hunter2hunter2.")
        await call.end()
        while any(job.name in ("task", "session_end") for job in await call.app.store.pending_jobs()):
            await asyncio.sleep(0.001)
    [case] = desk.cases
    assert [secret for secret in SECRETS if secret in case] == []
    assert "Caller: I am ann, and my word is [redacted]." in case
    assert '"user":"ann","password":"[redacted]"' in case
    assert '"link":"https://example.com/?t=[redacted]&k=[redacted]' in case
    assert "Key: [redacted]" in case
    assert "+14155550123" in case, "personal data is part of the call"

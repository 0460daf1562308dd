"""OpenAI's chat completions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic_ai.models import Model
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from .base import Asked, Call, Line, Say, Step, StrictModel, Think, event, refuse, refuse_long, refuse_twice, text_of

USAGE = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}


class StrictChat(StrictModel):
    """Serves `/v1/chat/completions`."""

    name = "chat"
    path = "/v1/chat/completions"

    def __init__(self, script: Any) -> None:
        super().__init__(script)
        self.given: set[str] = set()
        """The tool call ids that this server has sent. It accepts them even if they are too long for OpenAI.

        Many servers use this protocol, and each accepts its own ids.
        """

    def model(self, url: str) -> Model:
        return OpenAIChatModel("gpt-test", provider=OpenAIProvider(base_url=f"{url}/v1", api_key="test"))

    def error(self, status: int, message: str) -> dict[str, Any]:
        return {"error": {"message": message, "type": "invalid_request_error", "param": "messages", "code": None}}

    def check(self, body: dict[str, Any]) -> list[Line]:
        messages = body["messages"]
        # OpenAI's answer to a request without messages.
        refuse(not messages, "Invalid 'messages': empty array. Expected an array with minimum length 1.")
        lines: list[Line] = []
        for number, message in enumerate(messages):
            self._check_pairs(messages, number)
            lines += _lines(message, number)
        return lines

    def _check_pairs(self, messages: list[dict[str, Any]], number: int) -> None:
        message = messages[number]
        if message["role"] == "tool":
            before = number - 1
            while before >= 0 and messages[before]["role"] == "tool":
                before -= 1
            calls = [call["id"] for call in messages[before].get("tool_calls") or ()] if before >= 0 else []
            # github.com/FoundationAgents/OpenManus/issues/744
            refuse(
                message["tool_call_id"] not in calls,
                f"Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
                f"'tool_calls' (messages[{number}]).",
            )
        calls = [call["id"] for call in message.get("tool_calls") or ()]
        refuse_twice(calls, "Invalid 'messages': duplicate tool call id {}.")
        # github.com/anomalyco/opencode/issues/12653
        refuse_long(set(calls) - self.given, 40, f"messages[{number}].tool_calls[0].id")
        answers: list[str] = []
        for later in messages[number + 1 :]:
            if later["role"] != "tool":
                break
            answers.append(later["tool_call_id"])
        # github.com/pipecat-ai/pipecat/issues/309
        refuse(
            bool(set(calls) - set(answers)),
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id': {', '.join(sorted(set(calls) - set(answers)))}",
        )

    async def stream(self, asked: Asked, steps: AsyncIterator[Step]) -> AsyncIterator[str]:
        common = {"id": self.next_id("chatcmpl-"), "object": "chat.completion.chunk", "created": 1, "model": "gpt-test"}

        def chunk(delta: dict[str, Any], reason: str | None = None) -> str:
            return event(common | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})

        calls = 0
        yield chunk({"role": "assistant", "content": ""})
        async for step in steps:
            if isinstance(step, Say):
                yield chunk({"content": step.text})
            elif isinstance(step, Think) and step.text:
                # DeepSeek, vLLM and other servers of this protocol use this name for the thinking text.
                yield chunk({"reasoning_content": step.text})
            elif isinstance(step, Call):
                function = {"name": step.name, "arguments": step.arguments}
                self.given.add(step.id)
                identity = {"index": calls, "id": step.id or self.next_id("call_"), "type": "function"}
                calls += 1
                yield chunk({"tool_calls": [identity | {"function": function}]})
        yield chunk({}, "tool_calls" if calls else "stop")
        yield event(common | {"choices": [], "usage": USAGE})
        yield "data: [DONE]\n\n"


def _lines(message: dict[str, Any], number: int) -> list[Line]:
    role, content, calls = message["role"], message.get("content"), message.get("tool_calls") or []
    if role == "assistant":
        # OpenAI refuses an assistant message with neither content nor tool calls (see the issues of openai-python).
        refuse(
            content is None and not calls,
            f"Invalid value for 'content': expected a string, got null. (messages[{number}].content)",
        )
        spoken = [Line("assistant", text_of(content))] if content else []
        return spoken + [Line("call", call["id"]) for call in calls]
    if role == "tool":
        return [Line("result", message["tool_call_id"])]
    return [Line(role, text_of(content))]

"""Anthropic's Messages API, with thinking that is signed and must be sent back unchanged."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

from pydantic_ai.models import Model
from pydantic_ai.models.anthropic import AnthropicModel, AnthropicModelSettings
from pydantic_ai.providers.anthropic import AnthropicProvider

from .base import Asked, Call, Line, Say, Step, StrictModel, Think, blank, event, refuse, refuse_twice

Block = dict[str, Any]
Message = dict[str, Any]
THINKING = ("thinking", "redacted_thinking")
BUDGET = AnthropicModelSettings(anthropic_thinking={"type": "enabled", "budget_tokens": 1024})


class StrictAnthropic(StrictModel):
    """A server of `/v1/messages`.

    The model's `settings` enable extended thinking, the mode in which the API refuses the most requests.
    """

    name = "anthropic"
    path = "/v1/messages"
    settings = BUDGET

    def __init__(self, script: Any) -> None:
        super().__init__(script)
        self.signed: dict[str, str] = {}
        """Maps each signature to the thinking text that it signs, and the data of redacted thinking to ""."""
        self.thinking_of: dict[str, list[str]] = {}
        """Maps each tool call's id to the signatures in the answer that contained the call."""
        self.began_with: dict[str, str] = {}
        """Maps each tool call's id to the type of the first block in the answer that contained the call."""

    def model(self, url: str) -> Model:
        provider = AnthropicProvider(api_key="test", base_url=url)
        return AnthropicModel("claude-haiku-4-5", provider=provider, settings=self.settings)

    def error(self, status: int, message: str) -> dict[str, Any]:
        kind = "invalid_request_error" if status < 500 else "overloaded_error"
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}

    # --- what is refused

    def check(self, body: dict[str, Any]) -> list[Line]:
        refuse(not body["messages"], "messages: at least one message is required")
        # github.com/langchain4j/langchain4j/pull/1197
        refuse(body["messages"][0]["role"] != "user", 'messages: first message must use the "user" role')
        self._check_texts(body)
        # The API merges consecutive messages of the same role.
        messages = list(_joined(body["messages"]))
        uses = [block["id"] for message in messages for block in message["content"] if block["type"] == "tool_use"]
        # github.com/BerriAI/litellm/issues/23510
        refuse_twice(uses, "messages: `tool_use` ids must be unique: {}")
        for number, message in enumerate(messages):
            self._check_calls(messages, number)
            self._check_signatures(message, number)
        self._check_latest(body, messages)
        return [line for message in messages for line in _lines(message)]

    def _check_texts(self, body: dict[str, Any]) -> None:
        """Refuse blank texts in the system prompt, in messages and in tool results, and messages without content."""
        system = body.get("system") or []
        for block in [] if isinstance(system, str) else system:
            refuse(blank(block["text"]), "system: text content blocks must contain non-whitespace text")
        for number, message in enumerate(body["messages"]):
            # github.com/glowingjade/obsidian-smart-composer/pull/156
            refuse(not message["content"], f"messages.{number}: all messages must have non-empty content")
            for block in _blocks(message):
                inner = block["content"] if block["type"] == "tool_result" else [block]
                for one in [] if isinstance(inner, str) else inner:
                    # github.com/home-assistant/core/issues/175637, github.com/anthropics/claude-code/issues/23440
                    refuse(
                        one["type"] == "text" and blank(one["text"]),
                        "messages: text content blocks must contain non-whitespace text",
                    )

    def _check_calls(self, messages: list[Message], number: int) -> None:
        before = messages[number - 1]["content"] if number else []
        called = [block["id"] for block in before if block["type"] == "tool_use"]
        content = messages[number]["content"]
        results = [block for block in content if block["type"] == "tool_result"]
        for block in results:
            # github.com/anthropics/claude-code/issues/18947
            refuse(
                block["tool_use_id"] not in called,
                f"messages.{number}.content.0: unexpected `tool_use_id` found in `tool_result` blocks: "
                f"{block['tool_use_id']}. Each `tool_result` block must have a corresponding `tool_use` block in the "
                "previous message.",
            )
        refuse_twice((block["tool_use_id"] for block in results), "each tool_use must have a single result: {}")
        self._check_answered(messages, number)

    def _check_answered(self, messages: list[Message], number: int) -> None:
        uses = [block["id"] for block in messages[number]["content"] if block["type"] == "tool_use"]
        following = messages[number + 1]["content"] if number + 1 < len(messages) else []
        # Results come first: docs.claude.com, "Handle tool use", "Tool result formatting requirements".
        leading = [block.get("tool_use_id") for block in following[: len(uses)]]
        # github.com/anthropics/claude-code/issues/8612
        refuse(
            bool(set(uses) - set(leading)),
            f"messages.{number}: `tool_use` ids were found without `tool_result` blocks immediately after: "
            f"{', '.join(uses)}.",
        )
        for one in uses:
            refuse(re.fullmatch("[a-zA-Z0-9_-]+", one) is None, f"messages.{number}: tool_use.id: {one} does not match")

    def _check_signatures(self, message: Message, number: int) -> None:
        for place, block in enumerate(message["content"]):
            if block["type"] in THINKING:
                signature = block.get("signature", block.get("data"))
                # github.com/ding113/claude-code-hub/issues/518
                refuse(
                    self.signed.get(signature) != block.get("thinking", ""),
                    f"messages.{number}.content.{place}: Invalid `signature` in `thinking` block",
                )

    def _check_latest(self, body: dict[str, Any], messages: list[Message]) -> None:
        """Check the thinking blocks in the latest assistant message, if this message has tool calls.

        Refuse the message if its thinking blocks differ from those of the original response. If thinking is enabled,
        also refuse a message that does not begin with a thinking block, unless the original response
        began without one, too.
        """
        answers = [message["content"] for message in messages if message["role"] == "assistant"]
        latest = answers[-1] if answers else []
        calls = [block["id"] for block in latest if block["type"] == "tool_use"]
        sent = [block.get("signature", block.get("data")) for block in latest if block["type"] in THINKING]
        # github.com/anthropics/claude-code/issues/63284
        refuse(
            bool(sent and calls) and sent != self.thinking_of.get(calls[0]),
            "`thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified. These blocks "
            "must remain as they were in the original response.",
        )
        # This refusal is quoted in github.com/anomalyco/opencode/issues/3077. The documentation does not say whether
        # it also applies if a text of the user follows the tool results. This server always applies it.
        enabled = (body.get("thinking") or {}).get("type") == "enabled"
        refuse(
            bool(enabled and calls)
            and self.began_with.get(calls[0], "thinking") in THINKING
            and latest[0]["type"] not in THINKING,
            f"Expected `thinking` or `redacted_thinking`, but found `{latest[0]['type'] if latest else ''}`. When "
            "`thinking` is enabled, a final `assistant` message must start with a thinking block (preceeding the "
            "lastmost set of `tool_use` and `tool_result` blocks).",
        )

    # --- what is streamed

    async def stream(self, asked: Asked, steps: AsyncIterator[Step]) -> AsyncIterator[str]:
        answer = _Answer(self)
        yield _event("message_start", message=answer.start(asked.body["model"]))
        async for step in steps:
            for written in answer.write(step):
                yield written
        for written in answer.close():
            yield written
        delta = {"stop_reason": "tool_use" if answer.calls else "end_turn", "stop_sequence": None}
        yield _event("message_delta", delta=delta, usage={"output_tokens": 5})
        yield _event("message_stop")


class _Answer:
    """One answer while it is streamed."""

    def __init__(self, server: StrictAnthropic) -> None:
        self.server = server
        self.index = -1
        self.kind = ""
        self.began_with = ""
        self.thought = ""
        self.signatures: list[str] = []
        self.calls: list[str] = []

    def start(self, model: str) -> dict[str, Any]:
        usage = {"input_tokens": 11, "output_tokens": 1}
        known = {"id": self.server.next_id("msg_"), "type": "message", "role": "assistant", "content": []}
        return known | {"model": model, "stop_reason": None, "stop_sequence": None, "usage": usage}

    def write(self, step: Step) -> Iterator[str]:
        if isinstance(step, Say):
            yield from self._open("text", {"type": "text", "text": ""})
            yield self._delta({"type": "text_delta", "text": step.text})
        elif isinstance(step, Think):
            yield from self._think(step)
        elif isinstance(step, Call):
            yield from self._call(step)

    def _think(self, step: Think) -> Iterator[str]:
        if not step.text:
            yield from self.close()
            data = self._sign("")
            yield from self._open("redacted_thinking", {"type": "redacted_thinking", "data": data})
            return
        yield from self._open("thinking", {"type": "thinking", "thinking": "", "signature": ""})
        self.thought += step.text
        yield self._delta({"type": "thinking_delta", "thinking": step.text})

    def _call(self, step: Call) -> Iterator[str]:
        yield from self.close()
        own = step.id or self.server.next_id("toolu_")
        self.calls.append(own)
        self.server.thinking_of[own] = self.signatures
        self.server.began_with[own] = self.began_with or "tool_use"
        yield from self._open("tool_use", {"type": "tool_use", "id": own, "name": step.name, "input": {}})
        yield self._delta({"type": "input_json_delta", "partial_json": step.arguments})

    def _sign(self, thought: str) -> str:
        signature = self.server.next_id("Eq")
        self.server.signed[signature] = thought
        self.signatures.append(signature)
        return signature

    def _open(self, kind: str, block: Block) -> Iterator[str]:
        if kind == self.kind:
            return
        yield from self.close()
        self.kind, self.index = kind, self.index + 1
        self.began_with = self.began_with or kind
        yield _event("content_block_start", index=self.index, content_block=block)

    def _delta(self, delta: Block) -> str:
        return _event("content_block_delta", index=self.index, delta=delta)

    def close(self) -> Iterator[str]:
        """End the open block. A block of thinking gets its signature at its end."""
        if self.kind == "thinking":
            yield self._delta({"type": "signature_delta", "signature": self._sign(self.thought)})
        if self.kind:
            yield _event("content_block_stop", index=self.index)
        self.kind = self.thought = ""


def _event(kind: str, **more: Any) -> str:
    return event({"type": kind, **more}, kind)


def _blocks(message: Message) -> list[Block]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _joined(messages: list[Message]) -> Iterator[Message]:
    """Yield the messages. Consecutive messages of the same role are merged into one."""
    role = ""
    blocks: list[dict[str, Any]] = []
    for message in messages:
        if message["role"] != role and blocks:
            yield {"role": role, "content": blocks}
            blocks = []
        role, blocks = message["role"], [*blocks, *_blocks(message)]
    yield {"role": role, "content": blocks}


def _lines(message: Message) -> Iterator[Line]:
    for block in message["content"]:
        if block["type"] == "text":
            yield Line(message["role"], block["text"])
        elif block["type"] == "tool_use":
            yield Line("call", block["id"])
        elif block["type"] == "tool_result":
            yield Line("result", block["tool_use_id"])
        else:
            yield Line("reasoning", json.dumps(block))

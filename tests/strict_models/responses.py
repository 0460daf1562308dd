"""OpenAI's Responses API with a reasoning model. The API links each item to the reasoning that produced it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from pydantic_ai.models import Model
from pydantic_ai.models.openai import OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

from .base import Asked, Call, Line, Say, Step, StrictModel, Think, event, refuse, refuse_long, refuse_twice, text_of

PREFIXES = {"message": "msg", "function_call": "fc", "reasoning": "rs"}
USAGE = {
    "input_tokens": 11,
    "output_tokens": 5,
    "total_tokens": 16,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens_details": {"reasoning_tokens": 0},
}


class StrictResponses(StrictModel):
    """Serves `/v1/responses`, and keeps every item and response that it made."""

    name = "responses"
    path = "/v1/responses"

    def __init__(self, script: Any) -> None:
        super().__init__(script)
        self.items: dict[str, dict[str, Any]] = {}
        self.reasoning_of: dict[str, str] = {}
        """Maps the id of each item that came after reasoning in its response to the id of the reasoning item."""
        self.following: dict[str, str] = {}
        """Maps the id of each reasoning item to the id of the item that came right after it."""
        self.open_calls: dict[str, list[str]] = {}
        """Maps the id of each response to the ids of its tool calls."""

    def model(self, url: str) -> Model:
        return OpenAIResponsesModel("gpt-5-mini", provider=OpenAIProvider(base_url=f"{url}/v1", api_key="test"))

    def error(self, status: int, message: str) -> dict[str, Any]:
        return {"error": {"message": message, "type": "invalid_request_error", "param": "input", "code": None}}

    # --- what is refused

    def check(self, body: dict[str, Any]) -> list[Line]:
        items, before = body.get("input"), body.get("previous_response_id")
        refuse(before is not None and before not in self.open_calls, f"Previous response with id '{before}' not found.")
        # OpenAI's answer to a request without input.
        refuse(not items and not before, "Missing required parameter: 'input'.")
        items = [{"role": "user", "content": items}] if isinstance(items, str) else items or []
        # github.com/vercel/ai/issues/7883
        refuse_twice(
            [item["id"] for item in items if item.get("id")],
            "Duplicate item found with id {}. Remove duplicate items from your input and try again.",
        )
        for number, item in enumerate(items):
            self._check_id(item, number)
            self._check_reasoning(items, number)
        self._check_calls(items, self.open_calls.get(before or "", []))
        return [self._line(item) for item in items]

    def _check_id(self, item: dict[str, Any], number: int) -> None:
        kind, own = item.get("type", "message"), item.get("id") or ""
        prefix = PREFIXES.get(kind, "")
        # Several issues of github.com/openai/openai-agents-python report this refusal of another provider's ids.
        refuse(
            bool(own) and not own.startswith(f"{prefix}_"),
            f"Invalid 'input[{number}].id': '{own}'. Expected an ID that begins with '{prefix}'.",
        )
        if kind != "reasoning":
            return
        known = self.items.get(own or "", {})
        # The API looks up a reasoning item by its id, and refuses an id that it has not stored: "Items are not
        # persisted when `store` is set to false."
        refuse(not known, f"Item with id '{own}' not found.")
        # github.com/openai/codex/issues/8119
        refuse(
            item.get("encrypted_content") not in (None, known["encrypted_content"]),
            f"The encrypted content for item {own} could not be verified.",
        )

    def _check_reasoning(self, items: list[dict[str, Any]], number: int) -> None:
        own = items[number].get("id", "")
        needed, follower = self.reasoning_of.get(own), self.following.get(own)
        before = [item.get("id") for item in items[:number]]
        # github.com/VRSEN/agency-swarm/issues/367, github.com/laravel/ai/pull/1052
        refuse(
            needed is not None and needed not in before,
            f"Item '{own}' of type '{items[number].get('type', 'message')}' was provided without its required "
            f"'reasoning' item: '{needed}'.",
        )
        # github.com/openai/openai-node/issues/1567
        refuse(
            own in self.items
            and self.items[own]["type"] == "reasoning"
            and (follower is None or number + 1 == len(items) or items[number + 1].get("id") != follower),
            f"Item '{own}' of type 'reasoning' was provided without its required following item.",
        )

    def _check_calls(self, items: list[dict[str, Any]], waiting: list[str]) -> None:
        called = list(waiting)
        for item in items:
            if item.get("type") == "function_call":
                called.append(item["call_id"])
            elif item.get("type") == "function_call_output":
                # github.com/continuedev/continue/issues/10092
                refuse(
                    item["call_id"] not in called,
                    f"No tool call found for function call output with call_id {item['call_id']}.",
                )
        # github.com/AnswerDotAI/fastllm/issues/45
        refuse_long(called, 64, "input[0].call_id")
        answered = [item["call_id"] for item in items if item.get("type") == "function_call_output"]
        for one in called:
            # github.com/symgraph/GhidrAssist/issues/78
            refuse(one not in answered, f"No tool output found for function call {one}.")
        refuse_twice(answered, "Duplicate function call output for call_id {}.")

    def _line(self, item: dict[str, Any]) -> Line:
        kind = item.get("type", "message")
        if kind == "message":
            # If the server knows the item's id, it uses its own copy and ignores the text that was sent. Therefore a
            # client that changes a part must clear its id (see PydanticAI's `ModelResponse.history_digest`).
            return Line(item["role"], text_of(self.items.get(item.get("id", ""), item)["content"]))
        if kind == "reasoning":
            return Line("reasoning", item["id"])
        return Line("call" if kind == "function_call" else "result", item["call_id"])

    # --- what is streamed

    async def stream(self, asked: Asked, steps: AsyncIterator[Step]) -> AsyncIterator[str]:
        answer = _Answer(self, asked.body["model"])
        yield answer.event("response.created", response=answer.response("in_progress"))
        async for step in steps:
            for written in answer.write(step):
                yield written
        for written in answer.close():
            yield written
        yield answer.event("response.completed", response=answer.response("completed"))


class _Answer:
    """One response while it is streamed."""

    def __init__(self, server: StrictResponses, model: str) -> None:
        self.server = server
        self.id = server.next_id("resp_")
        self.model = model
        self.output: list[dict[str, Any]] = []
        self.number = -1
        self.reasoning = ""
        self.open: dict[str, Any] | None = None
        server.open_calls[self.id] = []

    def event(self, kind: str, **more: Any) -> str:
        self.number += 1
        return event({"type": kind, "sequence_number": self.number, **more}, kind)

    def response(self, status: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "response",
            "created_at": 1,
            "status": status,
            "model": self.model,
            "output": self.output if status == "completed" else [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": USAGE if status == "completed" else None,
        }

    def write(self, step: Step) -> list[str]:
        writers: dict[type[Any], Callable[[Any], list[str]]] = {Say: self._say, Think: self._think, Call: self._call}
        return writers[type(step)](step)

    def _place(self) -> dict[str, Any]:
        assert self.open is not None
        return {"item_id": self.open["id"], "output_index": len(self.output)}

    def _begin(self, kind: str, **fields: Any) -> list[str]:
        """Ensure that an item of this kind is open, and return the events that this causes.

        If the open item has this kind, it stays open and takes more content, except that each tool call gets a new
        item. Before a new item is opened, the open item is closed.
        """
        if self.open is not None and self.open["type"] == kind and kind != "function_call":
            return []
        closed = self.close()
        self.open = {"id": self.server.next_id(f"{PREFIXES[kind]}_"), "type": kind, **fields}
        self.server.items[self.open["id"]] = self.open
        self._tie(self.open["id"], kind)
        return [*closed, self.event("response.output_item.added", output_index=len(self.output), item=self.open)]

    def _tie(self, own: str, kind: str) -> None:
        if kind == "reasoning":
            self.reasoning = own
            return
        if self.reasoning:
            self.server.reasoning_of[own] = self.reasoning
            self.server.following.setdefault(self.reasoning, own)

    def _say(self, step: Say) -> list[str]:
        part = {"type": "output_text", "text": "", "annotations": []}
        begun = self._begin("message", role="assistant", status="in_progress", content=[])
        assert self.open is not None
        place = self._place() | {"content_index": 0}
        if begun:
            self.open["content"] = [part]
            begun.append(self.event("response.content_part.added", **place, part=dict(part)))
        self.open["content"][0]["text"] += step.text
        return [*begun, self.event("response.output_text.delta", **place, delta=step.text, logprobs=[])]

    def _think(self, step: Think) -> list[str]:
        begun = self._begin("reasoning", summary=[], encrypted_content=self.server.next_id("gAAAA"))
        assert self.open is not None
        if not step.text:
            return begun
        place = self._place() | {"summary_index": 0}
        if not self.open["summary"]:
            self.open["summary"] = [{"type": "summary_text", "text": ""}]
            part = {"type": "summary_text", "text": ""}
            begun.append(self.event("response.reasoning_summary_part.added", **place, part=part))
        self.open["summary"][0]["text"] += step.text
        return [*begun, self.event("response.reasoning_summary_text.delta", **place, delta=step.text)]

    def _call(self, step: Call) -> list[str]:
        call_id = step.id or self.server.next_id("call_")
        begun = self._begin("function_call", call_id=call_id, name=step.name, arguments="", status="in_progress")
        assert self.open is not None
        self.open["arguments"] = step.arguments
        self.server.open_calls[self.id].append(call_id)
        place = self._place()
        done = {"arguments": step.arguments, "name": step.name}
        return [
            *begun,
            self.event("response.function_call_arguments.delta", **place, delta=step.arguments),
            self.event("response.function_call_arguments.done", **place, **done),
        ]

    def close(self) -> list[str]:
        """End the open item."""
        if self.open is None:
            return []
        if "status" in self.open:
            self.open["status"] = "completed"
        done = self.event("response.output_item.done", output_index=len(self.output), item=self.open)
        self.output.append(self.open)
        self.open = None
        return [done]

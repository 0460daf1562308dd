"""Gemini's streamGenerateContent, as Gemini 3 serves it: function calls come with a thought signature."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

from pydantic_ai.models import Model
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.providers.google import GoogleProvider

from .base import Asked, Call, Line, Say, Step, StrictModel, Think, event, refuse

Content = dict[str, Any]
PLACEHOLDER = base64.b64encode(b"skip_thought_signature_validator").decode()
"""The text that a client sends instead of a thought signature, if a function call has no signature.

See ai.google.dev/gemini-api/docs/thought-signatures.
"""


class StrictGemini(StrictModel):
    """Serves `/v1beta/models/…:streamGenerateContent`."""

    name = "gemini"
    path = "/v1beta/models/{model:path}"

    def __init__(self, script: Any) -> None:
        super().__init__(script)
        self.signatures = {PLACEHOLDER}

    def model(self, url: str) -> Model:
        return GoogleModel("gemini-3-pro-preview", provider=GoogleProvider(api_key="test", base_url=url))

    def error(self, status: int, message: str) -> dict[str, Any]:
        kind = "INVALID_ARGUMENT" if status < 500 else "UNAVAILABLE"
        return {"error": {"code": status, "message": message, "status": kind}}

    # --- what is refused

    def check(self, body: dict[str, Any]) -> list[Line]:
        contents = body.get("contents") or []
        refuse(not contents, "* GenerateContentRequest.contents: contents is not specified")
        for number, content in enumerate(contents):
            self._check_parts(content, number)
            self._check_order(contents, number)
            self._check_signatures(content, number)
        return [line for content in contents for line in _lines(content)]

    def _check_parts(self, content: Content, number: int) -> None:
        where = f"* GenerateContentRequest.contents[{number}].parts"
        # github.com/vercel/ai/issues/3775
        refuse(not content.get("parts"), f"{where}: contents.parts must not be empty.")
        for place, part in enumerate(content["parts"]):
            fields = [name for name in ("text", "functionCall", "functionResponse", "inlineData") if name in part]
            # github.com/router-for-me/CLIProxyAPI/issues/1292
            refuse(
                len(fields) != 1 or (part.get("text") == "" and number > 0),
                f"{where}[{place}].data: required oneof field 'data' must have one initialized field",
            )

    def _check_order(self, contents: list[Content], number: int) -> None:
        calls, results = _count(contents[number], "functionCall"), _count(contents[number], "functionResponse")
        before = contents[number - 1] if number else {"role": "", "parts": []}
        following = contents[number + 1] if number + 1 < len(contents) else {"role": "", "parts": []}
        # github.com/google-gemini/gemini-cli/issues/3814
        refuse(
            calls > 0 and _count(following, "functionResponse") != calls,
            "Please ensure that the number of function response parts is equal to the number of function call parts of "
            "the function call turn.",
        )
        refuse(
            results > 0 and _count(before, "functionCall") == 0,
            "Please ensure that function response turn comes immediately after a function call turn.",
        )
        refuse(
            calls > 0 and before["role"] != "user",
            "Please ensure that function call turn comes immediately after a user turn or after a function response "
            "turn.",
        )
        refuse(
            number == 0 and contents[0].get("role") == "model",
            "Please ensure that the first content has the role 'user'.",
        )

    def _check_signatures(self, content: Content, number: int) -> None:
        calls = [part for part in content["parts"] if "functionCall" in part]
        # github.com/langgenius/dify-official-plugins/issues/2088. Only the first call of a response needs a signature.
        refuse(
            bool(calls) and not calls[0].get("thoughtSignature"),
            "Function call is missing a thought_signature in functionCall parts. This is required for tools to work "
            f"correctly, and missing thought_signature may lead to degraded model performance. (position {number})",
        )
        for part in content["parts"]:
            signature = part.get("thoughtSignature")
            # github.com/google-gemini/gemini-cli/issues/13467
            refuse(
                signature is not None and _standard(signature) not in self.signatures, "Corrupted thought signature."
            )

    # --- what is streamed

    async def stream(self, asked: Asked, steps: AsyncIterator[Step]) -> AsyncIterator[str]:
        own = self.next_id("response-")
        signed = False
        async for step in steps:
            if isinstance(step, Call):
                part: dict[str, Any] = {"functionCall": {"name": step.name, "args": json.loads(step.arguments)}}
                if not signed:
                    part["thoughtSignature"] = self._sign()
                    signed = True
            elif isinstance(step, Think):
                part = {"text": step.text, "thought": True}
            elif isinstance(step, Say):
                part = {"text": step.text}
            else:
                continue
            yield _chunk(own, [part])
        # The signature of an answer without calls comes with its last text.
        yield _chunk(own, [] if signed else [{"text": "", "thoughtSignature": self._sign()}], "STOP")

    def _sign(self) -> str:
        signature = base64.b64encode(self.next_id("signature-").encode()).decode()
        self.signatures.add(signature)
        return signature


def _standard(signature: str) -> str:
    """Return a signature in standard base64. The client sends URL-safe base64 without the `=` at its end."""
    data = base64.urlsafe_b64decode(signature.replace("+", "-").replace("/", "_") + "=" * (-len(signature) % 4))
    return base64.b64encode(data).decode()


def _chunk(own: str, parts: list[dict[str, Any]], reason: str = "") -> str:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if reason:
        candidate["finishReason"] = reason
    usage = {"promptTokenCount": 11, "candidatesTokenCount": 5, "totalTokenCount": 16}
    return event(
        {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-3-pro-preview", "responseId": own}
    )


def _count(content: Content, kind: str) -> int:
    return sum(kind in part for part in content["parts"])


def _lines(content: Content) -> list[Line]:
    lines: list[Line] = []
    for part in content["parts"]:
        if "functionCall" in part:
            lines.append(Line("call", part["functionCall"].get("id") or part["functionCall"]["name"]))
        elif "functionResponse" in part:
            lines.append(Line("result", part["functionResponse"].get("id") or part["functionResponse"]["name"]))
        elif part.get("thought"):
            lines.append(Line("reasoning", part.get("text", "")))
        elif part.get("text"):
            lines.append(Line("assistant" if content["role"] == "model" else "user", part["text"]))
    return lines

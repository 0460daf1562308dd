"""A FastAPI backend as in the platform's guide: one route, a dictionary for the history, and a generator.

The app does more than the guide requires: it keeps a history for each conversation, its model client is asynchronous,
its access log is off, and it validates events and acknowledges those that are not turns. With ECHO=1 it calls no model.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI
from pydantic import BaseModel, ValidationError

SECRET = os.environ["LAYERCODE_WEBHOOK_SECRET"]
ECHO = os.environ.get("ECHO") == "1"
WELCOME = "Welcome. How can I help you?"

app = FastAPI()
client = AsyncOpenAI() if not ECHO else None
conversations: dict[str, list[dict[str, str]]] = {}


class Event(BaseModel):
    """The fields of every event."""

    type: str
    conversation_id: str
    turn_id: str = ""


class Message(Event):
    """The caller's words."""

    turn_id: str
    text: str


def is_signed(body: bytes, header: str) -> bool:
    """Return whether the signature `t=…,v1=…` matches the raw body and is at most five minutes old."""
    try:
        parts = dict(part.split("=", 1) for part in header.split(","))
        at, given = int(parts["t"]), parts["v1"]
    except (KeyError, ValueError):
        return False
    expected = hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return abs(int(time.time()) - at) <= 300 and hmac.compare_digest(expected, given)


def frame(kind: str, turn_id: str, **more: Any) -> str:
    """Return one SSE event."""
    return f"data: {json.dumps({'type': kind, 'turn_id': turn_id, **more})}\n\n"


async def words(messages: list[dict[str, str]]) -> AsyncIterator[str]:
    """Yield the words of the model."""
    if client is None:
        yield f"You said: {messages[-1]['content']}"
        return
    system = {"role": "system", "content": "Be brief."}
    asked: Any = [system, *messages]
    async for chunk in await client.chat.completions.create(model="gpt-test", messages=asked, stream=True):
        if chunk.choices and (text := chunk.choices[0].delta.content):
            yield text


async def reply(event: Message) -> AsyncIterator[str]:
    """Answer a message. The answer is added to the history when it is complete."""
    messages = conversations.setdefault(event.conversation_id, [])
    messages.append({"role": "user", "content": event.text})
    said = ""
    async for text in words(messages):
        said += text
        yield frame("response.tts", event.turn_id, content=text)
    messages.append({"role": "assistant", "content": said})
    yield frame("response.end", event.turn_id)


async def welcome(event: Event) -> AsyncIterator[str]:
    """Send the greeting."""
    yield frame("response.tts", event.turn_id, content=WELCOME)
    yield frame("response.end", event.turn_id)


@app.post("/webhook")
async def webhook(request: Request) -> Any:
    """Verify the request and answer it."""
    body = await request.body()
    if not is_signed(body, request.headers.get("layercode-signature", "")):
        raise HTTPException(401, "Invalid signature")
    try:
        event = Event.model_validate_json(body)
        if event.type == "session.start":
            return StreamingResponse(welcome(event), media_type="text/event-stream")
        if event.type == "message":
            return StreamingResponse(reply(Message.model_validate_json(body)), media_type="text/event-stream")
    except ValidationError:
        raise HTTPException(422, "Not an event") from None
    return {"ok": True}

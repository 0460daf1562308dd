"""Call a served app as the platform does: signed events in, frames out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from layercode_app import LayerCode, Settings, VoiceAgent, load_settings
from layercode_app.emulator.webhooks import Answer, Received, WebhookClient
from layercode_app.server.serve import uvicorn_options

from .serving import serve

SECRET = "test-secret"
_ids = count(1)


def settings(tmp_path: Path, **given: Any) -> Settings:
    """Return settings for a test. Nothing is read from files, and the journal is in the test's folder.

    By default, fillers are off, and a slow model is given up only after 100 seconds. Otherwise the answers would be
    different on a busy machine. A test can pass other values in `given`.
    """
    own = {"webhook_secret": SECRET, "store": f"sqlite:///{tmp_path}/journal.sqlite3", "log_dir": "", "filler": "off"}
    own |= {"first_token_timeout": "100", "piece_timeout": "100"}
    values = own | given
    return load_settings(values, env_file=None, toml_file=None)


@dataclass
class Reply:
    """An answer as it was received."""

    status: int
    frames: list[Received] = field(default_factory=list)
    json: Any = None

    @property
    def spoken(self) -> str:
        return "".join(frame.content for frame in self.frames if frame.type == "response.tts")

    @property
    def types(self) -> list[str]:
        return [frame.type for frame in self.frames]


@dataclass
class Caller:
    """One conversation with one agent."""

    client: WebhookClient
    conversation_id: str
    session_id: str = "session-1"

    async def say(self, text: str, *, turn_id: str | None = None, **more: Any) -> Reply:
        return await self.send({"type": "message", "text": text, "turn_id": turn_id or new_turn(), **more})

    async def interrupt(self, text: str, *, turn_id: str, by: str, by_turn_id: str) -> None:
        """Say `text`, and as soon as the first word of its answer arrives, say `by`."""
        async with self.deliver({"type": "message", "text": text, "turn_id": turn_id}) as answer:
            frames = answer.frames()
            while (await anext(frames)).type != "response.tts":
                pass
            await self.say(by, turn_id=by_turn_id)
            async for _ in frames:
                pass

    def deliver(self, event: Mapping[str, Any]) -> AbstractAsyncContextManager[Answer]:
        """Post an event of this conversation; use as an async context manager."""
        ids = {"conversation_id": self.conversation_id, "session_id": self.session_id}
        return self.client.deliver(ids | dict(event))

    async def send(self, event: Mapping[str, Any]) -> Reply:
        async with self.deliver(event) as answer:
            if answer.is_stream:
                return Reply(answer.status, [frame async for frame in answer.frames()])
            return Reply(answer.status, json=await answer.json())


def new_turn() -> str:
    return f"turn-{next(_ids)}"


@asynccontextmanager
async def calling(app: LayerCode, *, agent: str | None = None, path: str = "") -> AsyncIterator[Caller]:
    """Serve the app on a real socket, and yield a caller of one of its agents."""
    route = path or f"/api/agents/{agent or next(iter(app.agents))}"
    async with serve(app) as url, WebhookClient(url + route, SECRET) as client:
        yield Caller(client, f"conversation-{next(_ids)}")


@asynccontextmanager
async def connected(tmp_path: Path, **given: Any) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Serve an agent without a model as `run` serves it, with these settings, and connect to it."""
    own = settings(tmp_path, store="memory", **given)
    app = LayerCode(VoiceAgent("quiet", greeting="Hi"), settings=own)
    async with serve(app, http=uvicorn_options(own)["http"]) as url:
        where = urlsplit(url)
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        yield reader, writer
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

"""Calls that were recorded over signed HTTP into SQLite, to be replayed."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from layercode_app import Call, LayerCode, Scene, VoiceAgent, find_agent
from layercode_app.cli.main import app as command

from ..agents.talking import AGENTS, Conversation
from ..calling import calling, settings

CALLER = "Ada Lovelace"
METADATA = {"user": {"name": CALLER, "email": "ada@example.org"}, "plan": "gold", "api_key": "test-sesame"}
PERSONAL = ["Ada", "Lovelace", "ada@example.org", "14155550199", "4155550199", "555 0199", "test-sesame"]


async def record_bakery(tmp_path: Path) -> str:
    """Record a call of five turns with tools. The caller interrupts one of the replies. Return the conversation's id."""
    app = LayerCode(bakery_that_waits(), settings=settings(tmp_path), model="offline")
    async with calling(app) as caller:
        call = Conversation(caller, app)
        from_ada: dict[str, Any] = {"metadata": METADATA, "from_phone_number": "+14155550199"}
        await call.greeting(**from_ada)
        await call.say("Two croissants and a coffee for Ada, call me on 415 555 0199", **from_ada)
        heard = await _speak_over(caller, "What is on the menu?", "menu-turn", from_ada, words=5)
        context = {"previous_turn_interrupted": True, "text_heard": heard, "assistant_turn_id": "menu-turn"}
        await call.say("A sourdough", interruption_context=context, **from_ada)
        await call.say("That's all, order it", **from_ada)
        return caller.conversation_id


def bakery_that_waits() -> VoiceAgent[Any, Any]:
    """Return the bakery agent. Its reply about the menu waits until the caller has left, even on a slow machine."""
    agent = find_agent("bakery", AGENTS)
    script = agent.script
    assert script is not None

    @agent.offline
    async def waiting(scene: Scene) -> AsyncIterator[str | Call]:
        if scene.says("menu") and scene.results:
            yield "We have "
            await asyncio.Event().wait()
        async for piece in script(scene):
            yield piece

    return agent


async def _speak_over(caller: Any, text: str, turn_id: str, more: dict[str, Any], *, words: int) -> str:
    """Close the connection after this number of words, and return what was heard."""
    event = {"type": "message", "text": text, "turn_id": turn_id, **more}
    ids = {"conversation_id": caller.conversation_id, "session_id": caller.session_id}
    heard = ""
    async with caller.client.deliver(ids | event) as answer:
        async for frame in answer.frames():
            heard += frame.content if frame.type == "response.tts" else ""
            if len(heard.split()) >= words:
                break
    return heard.strip()


def copied_agents(tmp_path: Path) -> Path:
    """A folder with the shipped agents, to be changed."""
    return Path(shutil.copytree(AGENTS, tmp_path / "changed", ignore=shutil.ignore_patterns("__pycache__")))


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


async def run(*words: str | Path) -> Result:
    """Run a command in a thread, because the command runs its own event loop."""
    return await asyncio.to_thread(CliRunner().invoke, command, [str(word) for word in words])


async def run_json(*words: str | Path) -> tuple[int, Any]:
    result = await run(*words, "--json")
    assert result.exit_code in (0, 1), result.output
    return result.exit_code, json.loads(result.stdout)

"""When the disk of the journal, logs or metrics is full, calls continue or apologise, and everything recovers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from ..full_disk import empty, fill, needs_mounts, seen_by, small_disks
from .observed import Observed, observed, spoken
from .test_metrics import scrape

pytestmark = pytest.mark.anyio

AGENT = """
from layercode_app import Turn, VoiceAgent

agent = VoiceAgent("echo")


@agent.on_message
async def answer(turn: Turn) -> str:
    return f"You said: {turn.text}"
"""
COMPLETE = 'layercode_turns_total{agent="echo",kind="message",status="complete"}'
WARNINGS = {
    "logs": "cannot be written: No space left on device. Calls continue without it.",
    "metrics": "METRICS_DIR metrics cannot be written: No space left on device.",
    ".layercode": "The journal is not available",
}


class Call:
    """One conversation. It counts the messages that were sent, and those that got an answer instead of the apology."""

    def __init__(self, server: Observed) -> None:
        self.server = server
        self.said = self.answered = 0

    async def turn(self) -> str:
        """Send one message, and return the agent's words, which are the answer or the apology."""
        self.said += 1
        frames = await self.server.say(f"number {self.said}", turn=f"t{self.said}", conversation="full")
        assert frames[-1].type == "response.end"
        assert self.server.process.returncode is None
        self.answered += spoken(frames) == f"You said: number {self.said}"
        return spoken(frames)

    async def answer(self) -> None:
        """Send messages until one gets an answer instead of the apology. Fail after 400 messages."""
        for _ in range(400):
            if "You said" in await self.turn():
                return
            await asyncio.sleep(0.05)
        raise AssertionError("no answer in 20 s")

    async def until(self, condition: Callable[[], bool], told: str) -> None:
        """Continue the conversation until `condition` is true. Fail with the description `told` if it stays false."""
        for _ in range(400):
            if condition():
                return
            await self.answer()
            await asyncio.sleep(0.05)
        raise AssertionError(f"not so in 20 s: {told}")


@needs_mounts
async def test_no_full_disk_ends_the_server_or_a_call_and_all_recover(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in WARNINGS]
    for folder in folders:
        folder.mkdir()
    disks = small_disks(*folders, kilobytes=2000)
    async with observed(tmp_path, agent=AGENT, name="echo", prefix=disks, METRICS_DIR="metrics") as server:
        logs, metrics, journal = (seen_by(server.process.pid, folder) for folder in folders)
        call = Call(server)

        def warned(folder: Path) -> bool:
            return WARNINGS[folder.name] in server.printed

        await call.answer()

        for folder in (logs, metrics):
            fill(folder)
            for _ in range(10):
                assert "You said" in await call.turn()
            await call.until(partial(warned, folder), "a warning")
            empty(folder)
        fill(journal)
        heard = [await call.turn() for _ in range(30)]
        assert set(heard) - {f"You said: number {number}" for number in range(call.said + 1)} == {
            "Sorry, something went wrong on my side. Could you say that again?"
        }
        empty(journal)
        await call.answer()

        for folder in (logs, metrics, journal):
            fill(folder)
        for _ in range(30):
            await call.turn()
        assert (await scrape(server))[COMPLETE] == call.answered
        for folder in (logs, metrics, journal):
            empty(folder)
        await call.answer()

        await call.until(
            lambda: f'"turn_id":"t{call.said}"' in contents(logs), "the line of the last turn is in its file"
        )
        await call.until(lambda: f"[{float(call.answered)}]" in contents(metrics), "the last figures are in their file")
        assert all(words in server.printed for words in WARNINGS.values())
        assert "METRICS_DIR metrics is writable again." in server.printed
        code, _ = await server.stop()
        assert code == 0


def contents(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.iterdir() if path.suffix in (".log", ".json"))

"""Turn a caller's audio into words. Without speech recognition, send a transcript that says it is off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from .protocol import Input, Text, Trigger, UserStarted, UserStopped
from .recording import CALLER_RATE
from .speech import RATE, resample
from .transcription import Transcriber, TranscriptionError, to_wav
from .utterances import SILENCE_SECONDS, Began, Found, Utterances

OFF = "Speech recognition is off in this emulator. Type instead, or restart with --stt COMMAND or --stt URL."
FAILED = "Speech recognition failed; the emulator's console shows why."
INTERIM_SECONDS = 1.0
"""Seconds of further speech before the next interim transcript."""


class Hearing(Protocol):
    """A consumer of a caller's audio. It needs no timestamps, because audio is processed as it arrives."""

    def audio(self, pcm: bytes) -> None:
        """Process audio: PCM16, mono, 8 kHz."""
        ...

    def signal(self, what: UserStarted | UserStopped) -> None:
        """Process the client's signal that the caller began or stopped speaking."""
        ...

    async def close(self) -> None:
        """Stop listening."""
        ...


class NoHearing:
    """Answers the first audio of a session with a transcript that says that speech recognition is off."""

    def __init__(self, *, new_id: Callable[[], str], send: Callable[[dict[str, Any]], None], notice: Callable[[str], None]) -> None:  # fmt: skip
        self._new_id, self._send, self._notice = new_id, send, notice
        self._said = False

    def audio(self, pcm: bytes) -> None:
        """At the first audio, print a notice and send a transcript that says that speech recognition is off."""
        if self._said:
            return
        self._said = True
        self._notice(f"A caller is speaking. {OFF}")
        send_transcript(self._send, OFF, self._new_id())

    def signal(self, what: UserStarted | UserStopped) -> None:
        """Ignore the signal."""

    async def close(self) -> None:
        """Do nothing: nothing is open."""


class Listening:
    """Detects pieces of speech, transcribes them in order, and passes each to the session as the caller's words.

    A piece without words is dropped. If a transcription fails, the client gets a transcript that says so.
    """

    def __init__(
        self,
        transcriber: Transcriber,
        *,
        trigger: Trigger,
        new_id: Callable[[], str],
        send: Callable[[dict[str, Any]], None],
        take: Callable[[Input], None],
        notice: Callable[[str], None],
    ) -> None:
        self._transcriber = transcriber
        self._new_id, self._send, self._take, self._notice = new_id, send, take, notice
        self._push_to_talk = trigger == "push_to_talk"
        self._utterances = Utterances(told=self._push_to_talk)
        self._turn_id = ""
        self._heard_bytes = 0  # bytes of the open piece at its last interim transcript
        self._finished: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None
        self._interim: asyncio.Task[None] | None = None
        self._silence: asyncio.TimerHandle | None = None

    def audio(self, pcm: bytes) -> None:
        """Process audio, and pass on the speech found in it."""
        for found in self._utterances.feed(pcm):
            self._found(found, told=self._utterances.told)
        self._expect_more()
        self._maybe_interim()

    def signal(self, what: UserStarted | UserStopped) -> None:
        """Start or end a piece of speech at the client's signal."""
        if isinstance(what, UserStarted):
            if not self._utterances.speaking:
                self._begin()
            self._utterances.begin()
            return
        for found in self._utterances.finish():
            self._found(found, told=True)

    async def close(self) -> None:
        """Cancel the timer and the running transcriptions."""
        if self._silence is not None:
            self._silence.cancel()
        running = [task for task in (self._worker, self._interim) if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _begin(self) -> None:
        self._turn_id, self._heard_bytes = self._new_id(), 0

    def _found(self, found: Found, *, told: bool = False) -> None:
        if isinstance(found, Began):
            self._begin()
            self._take(UserStarted(vad=True))
            return
        if self._interim is not None:
            self._interim.cancel()
        if not told:
            self._take(UserStopped(vad=True))
        self._finished.put_nowait((self._turn_id, found.pcm))
        self._begin()
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())

    def _expect_more(self) -> None:
        """Restart the timer that ends the speech if the client sends no more audio."""
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
        if self._utterances.speaking and not self._push_to_talk:
            self._silence = asyncio.get_running_loop().call_later(SILENCE_SECONDS, self._no_more)

    def _no_more(self) -> None:
        for found in self._utterances.finish():
            self._found(found)

    def _maybe_interim(self) -> None:
        enough = len(self._utterances.so_far) - self._heard_bytes >= INTERIM_SECONDS * 2 * CALLER_RATE
        if enough and (self._interim is None or self._interim.done()):
            pcm = self._utterances.so_far
            self._heard_bytes = len(pcm)
            self._interim = asyncio.create_task(self._send_interim(self._turn_id, pcm))

    async def _send_interim(self, turn_id: str, pcm: bytes) -> None:
        # A failure is not reported here: if it lasts, the final transcription fails too and reports it.
        with suppress(TranscriptionError):
            if text := await self._text(pcm):
                self._send(delta("user.transcript.interim_delta", text, turn_id))

    async def _work(self) -> None:
        while True:
            await self._hand_in(*await self._finished.get())

    async def _hand_in(self, turn_id: str, pcm: bytes) -> None:
        try:
            text = await self._text(pcm)
        except TranscriptionError as error:
            self._notice(f"Speech recognition failed: {error}.")
            send_transcript(self._send, FAILED, turn_id)
            return
        if text:
            self._send(delta("user.transcript.delta", text, turn_id))
            self._take(Text(text, turn_id))

    async def _text(self, pcm: bytes) -> str:
        resampled = await asyncio.to_thread(resample, pcm[: len(pcm) // 2 * 2], CALLER_RATE)
        return await self._transcriber.transcribe(to_wav(resampled, RATE))


def delta(kind: str, text: str, turn_id: str) -> dict[str, Any]:
    """Return a transcript message. Its `delta_counter` is always 0, so that clients replace the previous message."""
    return {"type": kind, "content": text, "turn_id": f"user-{turn_id}", "delta_counter": 0}


def send_transcript(send: Callable[[dict[str, Any]], None], text: str, turn_id: str) -> None:
    """Send a text as the caller's transcript, and also as a delta, because the official templates read only deltas."""
    send(delta("user.transcript.delta", text, turn_id))
    send({"type": "user.transcript", "content": text, "turn_id": f"user-{turn_id}"})

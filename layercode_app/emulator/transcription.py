"""Speech to text by a program or a service: whisper.cpp, OpenAI, or anything with the same interface."""

from __future__ import annotations

import io
import re
import shlex
import shutil
import tempfile
import wave
from pathlib import Path
from typing import Any, Protocol

import httpx

from ..exceptions import ConfigurationError, LayerCodeError
from ..settings import Settings
from .program import Finished, run_program
from .webhooks import check_url, is_loopback

SECONDS = 30.0
"""Timeout of one transcription, in seconds."""
ENDPOINT = "/audio/transcriptions"
FILE = "{wav}"
_SHOWN = 200
# whisper.cpp prints a time before each line, and a mark for silence.
_TIMES = re.compile(r"^\[[\d:.,]+ --> [\d:.,]+\]\s*", re.MULTILINE)
_MARKS = re.compile(r"\[[A-Z_ ]+\]|\((?:silence|inaudible)\)")


class TranscriptionError(LayerCodeError):
    """The program or the service returned no transcript."""


class Transcriber(Protocol):
    """A speech-to-text converter."""

    async def transcribe(self, wav: bytes) -> str:
        """Return the words of a WAV file, or an empty text. Raises TranscriptionError."""
        ...

    async def aclose(self) -> None:
        """Close open connections."""
        ...


class ProgramTranscriber:
    """Runs a program for each piece of speech.

    `{wav}` in the command is replaced by the path of a WAV file. Without `{wav}`, the program reads the WAV from stdin.
    """

    def __init__(self, command: list[str]) -> None:
        self._command = command

    async def transcribe(self, wav: bytes) -> str:
        """Run the program on the audio. Return the words in its standard output."""
        if not any(FILE in word for word in self._command):
            return await self._run(self._command, wav)
        with tempfile.NamedTemporaryFile(prefix="layercode-", suffix=".wav") as file:
            file.write(wav)
            file.flush()
            return await self._run([word.replace(FILE, file.name) for word in self._command], b"")

    async def _run(self, command: list[str], stdin: bytes) -> str:
        name = Path(command[0]).name
        try:
            done: Finished = await run_program(command, stdin=stdin, seconds=SECONDS)
        except TimeoutError as error:
            raise TranscriptionError(f"{name} took longer than {SECONDS:g} s") from error
        except OSError as error:
            raise TranscriptionError(f"{name} cannot be run: {error.strerror}") from error
        if done.code:
            said = done.errors.decode("utf-8", "replace").strip()[-_SHOWN:]
            raise TranscriptionError(f"{name} ended with exit code {done.code}: {said!r}")
        return words_in(done.output.decode("utf-8", "replace"))

    async def aclose(self) -> None:
        """Do nothing: no process stays open."""


class ServiceTranscriber:
    """Calls a service with OpenAI's transcription interface."""

    def __init__(self, url: httpx.URL, *, key: str | None, model: str) -> None:
        self._url, self._model = url, model
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.AsyncClient(timeout=SECONDS, headers=headers, trust_env=not is_loopback(url.host))

    async def transcribe(self, wav: bytes) -> str:
        """Return the `text` of the JSON answer, or the whole plain-text answer."""
        fields = {"model": self._model, "response_format": "json"}
        try:
            answer = await self._http.post(self._url, data=fields, files={"file": ("speech.wav", wav, "audio/wav")})
        except httpx.HTTPError as error:
            raise TranscriptionError(f"{self._url} gave no answer: {str(error) or type(error).__name__}") from error
        if not answer.is_success:
            raise TranscriptionError(f"{self._url} answered {answer.status_code}: {answer.text[:_SHOWN]!r}")
        return words_in(self._text(answer))

    def _text(self, answer: httpx.Response) -> str:
        if answer.headers.get("content-type", "").startswith("text/plain"):
            return answer.text
        try:
            found: Any = answer.json()
        except ValueError:
            found = None
        text = found.get("text") if isinstance(found, dict) else None
        if not isinstance(text, str):
            raise TranscriptionError(f"{self._url} answered without a `text`: {answer.text[:_SHOWN]!r}")
        return text

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def pick_transcriber(stt: str | None, *, key: str | None = None, model: str = "whisper-1") -> Transcriber | None:
    """Return the transcriber for a command or a URL, or None if `stt` is empty.

    Raises ConfigurationError for an invalid command or URL, and for a program that is not installed.
    """
    if not stt or not stt.strip():
        return None
    if stt.strip().lower().startswith(("http://", "https://")):
        return ServiceTranscriber(_endpoint(stt.strip()), key=key, model=model)
    try:
        command = shlex.split(stt)
    except ValueError as error:
        raise ConfigurationError(f"--stt {stt!r} is not a valid command: {error}. Close its quotes.") from error
    if shutil.which(command[0]) is None:
        raise ConfigurationError(
            f"--stt names the program {command[0]!r}, which is not installed; expected a program or an http(s) URL."
        )
    return ProgramTranscriber(command)


def transcriber_of(settings: Settings) -> Transcriber | None:
    """Return the transcriber from the settings, or None. Raises ConfigurationError like `pick_transcriber`."""
    key = None if settings.stt_key is None else settings.stt_key.get_secret_value()
    return pick_transcriber(settings.stt, key=key, model=settings.stt_model)


def _endpoint(url: str) -> httpx.URL:
    """Return the service's URL. The endpoint is added to a base URL such as http://host or http://host/v1."""
    found = check_url(url)
    path = found.path.rstrip("/")
    if path == "":
        return found.copy_with(path=f"/v1{ENDPOINT}")
    return found.copy_with(path=f"{path}{ENDPOINT}") if path.endswith("/v1") else found


def words_in(transcript: str) -> str:
    """Return the words of a transcript on one line, without timestamps and marks such as [BLANK_AUDIO]."""
    return " ".join(_MARKS.sub(" ", _TIMES.sub("", transcript)).split())


def to_wav(pcm: bytes, rate: int) -> bytes:
    """Return a WAV file of PCM16 mono."""
    target = io.BytesIO()
    with wave.open(target, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(rate)
        wav.writeframes(pcm)
    return target.getvalue()

"""Speech to text by a program or a service of the user's choice: whisper.cpp, OpenAI, or anything with their interface."""

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
"""How long one transcription may take."""
ENDPOINT = "/audio/transcriptions"
FILE = "{wav}"
_SHOWN = 200
# whisper.cpp prints a time before each line, and a mark where nobody speaks.
_TIMES = re.compile(r"^\[[\d:.,]+ --> [\d:.,]+\]\s*", re.MULTILINE)
_MARKS = re.compile(r"\[[A-Z_ ]+\]|\((?:silence|inaudible)\)")


class TranscriptionError(LayerCodeError):
    """The program or the service gave no transcript."""


class Transcriber(Protocol):
    """Turns speech into text."""

    async def transcribe(self, wav: bytes) -> str:
        """The words of a WAV file, or an empty text. Raises TranscriptionError."""
        ...

    async def aclose(self) -> None:
        """Close what is open."""
        ...


class ProgramTranscriber:
    """Runs a program for each piece of speech: `{wav}` in its arguments is a file, else it reads the WAV on stdin."""

    def __init__(self, command: list[str]) -> None:
        self._command = command

    async def transcribe(self, wav: bytes) -> str:
        """The program's standard output."""
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
        """Nothing is open between two pieces of speech."""


class ServiceTranscriber:
    """Asks a service with OpenAI's interface of transcriptions."""

    def __init__(self, url: httpx.URL, *, key: str | None, model: str) -> None:
        self._url, self._model = url, model
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.AsyncClient(timeout=SECONDS, headers=headers, trust_env=not is_loopback(url.host))

    async def transcribe(self, wav: bytes) -> str:
        """The `text` of its JSON answer, or the whole of an answer in plain text."""
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
    """The transcriber for a command or a URL; None for none. Raises ConfigurationError for what cannot work."""
    if not stt or not stt.strip():
        return None
    if stt.strip().lower().startswith(("http://", "https://")):
        return ServiceTranscriber(_endpoint(stt.strip()), key=key, model=model)
    try:
        command = shlex.split(stt)
    except ValueError as error:
        raise ConfigurationError(f"--stt {stt!r} is no command: {error}. Close its quotes.") from error
    if shutil.which(command[0]) is None:
        raise ConfigurationError(
            f"--stt names the program {command[0]!r}, which is not installed; expected a program or an http(s) URL."
        )
    return ProgramTranscriber(command)


def transcriber_of(settings: Settings) -> Transcriber | None:
    """The transcriber that the settings name. Raises ConfigurationError for one that cannot work."""
    key = None if settings.stt_key is None else settings.stt_key.get_secret_value()
    return pick_transcriber(settings.stt, key=key, model=settings.stt_model)


def _endpoint(url: str) -> httpx.URL:
    """The URL as it is; of a base URL such as http://host/v1, the endpoint below it."""
    found = check_url(url)
    path = found.path.rstrip("/")
    if path == "":
        return found.copy_with(path=f"/v1{ENDPOINT}")
    return found.copy_with(path=f"{path}{ENDPOINT}") if path.endswith("/v1") else found


def words_in(transcript: str) -> str:
    """The words of a transcript on one line, without times and marks of silence."""
    return " ".join(_MARKS.sub(" ", _TIMES.sub("", transcript)).split())


def to_wav(pcm: bytes, rate: int) -> bytes:
    """A WAV file of PCM16 mono."""
    target = io.BytesIO()
    with wave.open(target, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(rate)
        wav.writeframes(pcm)
    return target.getvalue()

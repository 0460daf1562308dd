"""The base of the strict model servers: scripts that make answers, and refusals that are sent as HTTP errors."""

from __future__ import annotations

import asyncio
import json
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, ClassVar, NamedTuple, TypeAlias

from pydantic_ai.models import Model
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route


@dataclass(frozen=True)
class Think:
    """A piece of reasoning; an empty one is reasoning that the provider does not show."""

    text: str = ""


@dataclass(frozen=True)
class Say:
    """A piece of text."""

    text: str


@dataclass(frozen=True)
class Call:
    """A tool call. If no `id` is given, the server makes one."""

    name: str
    arguments: str = "{}"
    id: str = ""


@dataclass(frozen=True)
class Fail:
    """An error. As the first step it is sent as an HTTP status. After other steps the connection is lost."""

    status: int
    message: str = "The model is overloaded."


@dataclass(frozen=True)
class Break:
    """The connection is lost."""


@dataclass(frozen=True)
class Hang:
    """Nothing follows, until the client goes away."""


Step: TypeAlias = Think | Say | Call | Fail | Break | Hang


class Line(NamedTuple):
    """A part of a request as the model reads it; `role` is user, assistant, call, result or reasoning."""

    role: str
    text: str


@dataclass
class Asked:
    """One request that was not refused."""

    body: dict[str, Any]
    lines: list[Line]


Script: TypeAlias = Callable[[Asked], AsyncIterator[Step]]


def words(*texts: str) -> Script:
    """Return a script that answers every request with these texts."""

    async def script(asked: Asked) -> AsyncIterator[Step]:
        for text in texts:
            yield Say(text)

    return script


class RefusedError(Exception):
    """The provider answers 400 to this request."""


class ConnectionLostError(Exception):
    """Ends the connection in the middle of the answer."""


class StrictModel(ABC):
    """A server of one protocol. `script` makes an answer from a request.

    `asked` holds the requests that were not refused, and `refused` the messages of the refusals.
    """

    name: ClassVar[str]
    path: ClassVar[str]

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self.refused: list[str] = []
        self._numbers = count(1)

    @property
    def app(self) -> Starlette:
        """The server, as an ASGI app."""
        return Starlette(routes=[Route(self.path, self._answer, methods=["POST"])])

    @abstractmethod
    def model(self, url: str) -> Model:
        """Return PydanticAI's model for this server. `url` is the base URL of the server."""

    @abstractmethod
    def check(self, body: dict[str, Any]) -> list[Line]:
        """Return what the model reads in a request. Raises RefusedError if the provider would refuse the request."""

    @abstractmethod
    def error(self, status: int, message: str) -> dict[str, Any]:
        """Return the provider's JSON for an error."""

    @abstractmethod
    def stream(self, asked: Asked, steps: AsyncIterator[Step]) -> AsyncIterator[str]:
        """Yield the provider's events for these steps."""

    def next_id(self, prefix: str) -> str:
        """Return a new id that begins with the prefix."""
        return f"{prefix}{next(self._numbers):08d}"

    async def _answer(self, request: Request) -> Response:
        try:
            body = read_json(await request.body())
            asked = Asked(body, self.check(body))
        except RefusedError as refusal:
            self.refused.append(str(refusal))
            return JSONResponse(self.error(400, str(refusal)), 400)
        self.asked.append(asked)
        steps = self.script(asked)
        first = await _unless_gone(request, steps)
        if first and isinstance(first[0], Fail):
            return JSONResponse(self.error(first[0].status, first[0].message), first[0].status)
        events = self.stream(asked, _played(first, steps))
        return StreamingResponse(events, media_type="text/event-stream")


async def _unless_gone(request: Request, steps: AsyncIterator[Step]) -> list[Step]:
    """Return a list with the first step. It is empty if there is no step, or if the client disconnects before it."""
    first = asyncio.ensure_future(_first(steps))
    gone = asyncio.ensure_future(request.receive())
    await asyncio.wait({first, gone}, return_when=asyncio.FIRST_COMPLETED)
    for waiting in (first, gone):
        waiting.cancel()
    await asyncio.wait({first, gone})
    return [] if first.cancelled() else first.result()


async def _first(steps: AsyncIterator[Step]) -> list[Step]:
    async for step in steps:
        return [step]
    return []


async def _played(first: Sequence[Step], rest: AsyncIterator[Step]) -> AsyncIterator[Step]:
    """Yield the steps to send. `Break` and `Fail` are not sent: they end the answer. `Hang` keeps it open forever."""
    for step in first:
        await _hold(step)
        yield step
    async for step in rest:
        await _hold(step)
        yield step


async def _hold(step: Step) -> None:
    if isinstance(step, Break | Fail):
        raise ConnectionLostError
    if isinstance(step, Hang):
        await asyncio.Event().wait()


def read_json(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a body.

    Raises RefusedError if the body is not a JSON object, or if it contains half of a surrogate pair.
    """
    try:
        # The errors of the providers:
        # OpenAI: "We could not parse the JSON body of your request".
        # Anthropic: "no low surrogate in string", github.com/anthropics/claude-code/issues/1939.
        # DeepSeek: "lone leading surrogate in hex escape", github.com/JohnnyZ93/oai-compatible-copilot/issues/302.
        body.decode()
        found = json.loads(body)
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise RefusedError("The request body is not valid JSON: no low surrogate in string") from None
    except ValueError as error:
        raise RefusedError(f"The request body is not valid JSON: {error}") from None
    if not isinstance(found, dict):
        raise RefusedError("The request body is not a JSON object")
    return found


def refuse(when: bool, message: str) -> None:
    """Raise RefusedError with this message if `when` is true."""
    if when:
        raise RefusedError(message)


def refuse_twice(ids: Iterable[str], message: str) -> None:
    """Refuse a request in which an id occurs twice. The message has the placeholder `{}` for the id."""
    seen: set[str] = set()
    for one in ids:
        refuse(one in seen, message.format(one))
        seen.add(one)


def refuse_long(ids: Iterable[str], most: int, where: str) -> None:
    """Refuse a request with an id of more than `most` characters."""
    for one in ids:
        refuse(
            len(one) > most,
            f"Invalid '{where}': string too long. Expected a string with maximum length {most}, but got a string with "
            f"length {len(one)} instead.",
        )


def blank(text: str) -> bool:
    """Return whether a text has nothing but white space and characters without width."""
    return re.fullmatch("[\\s\u200b-\u200d\u2060\ufeff]*", text) is not None


def text_of(content: Any) -> str:
    """Return the text of a message's content, which is a string or a list of blocks."""
    if isinstance(content, str):
        return content
    return "".join(block.get("text") or "" for block in content or ())


def event(payload: dict[str, Any], name: str = "") -> str:
    """Return one server-sent event."""
    return (f"event: {name}\n" if name else "") + f"data: {json.dumps(payload)}\n\n"

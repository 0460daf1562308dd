"""The JSON API of the dev page. It reads the journal, the emulator and the log files."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from ...exceptions import (
    CallerError,
    DeveloperError,
    LayerCodeError,
    NotRecordedError,
    PlatformAPIError,
    StoreError,
)
from ...journal.record import Json, TurnRecord
from ...output.colors import colors
from ..bodies import json_answer as _json
from ..bodies import read as _read
from ..speech import Silence
from .export import export_page
from .figures import conversation_row, latency, matches, shown, totals, whole
from .live import events
from .log_lines import lines_of_turn
from .review import DEFAULT_SINCE, ReviewRequest, calls_to_review, give_verdict
from .simulated_api import list_callers, list_calls, listen_to_call, start_call, stop_call
from .source import ForkRequest, GoalRequest, ReviewScenarioRequest, SaveTurnRequest, Source
from .while_connected import while_connected

STATIC = Path(__file__).parent / "static"
NEWEST_TURNS = 2000
"""The number of newest turns from which the list of conversations is made."""
Handler = Callable[[Source, Request], Awaitable[Response]]


class NotFoundError(LayerCodeError):
    """The journal has no such conversation or turn."""


class _AnyId(StringConvertor):
    """A path parameter for an id, which may contain slashes and line ends."""

    regex = r"[\s\S]+"


register_url_convertor("id", _AnyId())


class SessionRequest(BaseModel):
    """A request to open a session, of a new or an existing conversation."""

    model_config = ConfigDict(extra="forbid")

    agent: str
    conversation_id: str | None = None
    metadata: dict[str, Any] | None = None


class SpeechRequest(BaseModel):
    """A request to speak a text; the answer is PCM16 mono 16 kHz."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(max_length=20_000)


def page_routes(source: Source) -> list[BaseRoute]:
    """Return the routes of the page at `/`, its files, and everything below `/dev/`."""
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/", _page),
        ("GET", "/dev/colors.css", _colors),
        ("GET", "/dev/api/agents", _agents),
        ("GET", "/dev/api/models", _models),
        ("POST", "/dev/api/sessions", _open_session),
        ("GET", "/dev/api/conversations", _conversations),
        ("GET", "/dev/api/conversations/{conversation_id:id}/turns/{turn_id:id}/logs", _logs),
        ("GET", "/dev/api/conversations/{conversation_id:id}/turns/{turn_id:id}", _turn),
        ("GET", "/dev/api/conversations/{conversation_id:id}/export", _export),
        ("GET", "/dev/api/conversations/{conversation_id:id}", _conversation),
        ("POST", "/dev/api/fork", _fork),
        ("POST", "/dev/api/saved-turns", _save_turn),
        ("GET", "/dev/api/reviews", _reviews),
        ("POST", "/dev/api/reviews", _review),
        ("POST", "/dev/api/reviews/goal", _goal),
        ("POST", "/dev/api/reviews/scenario", _review_scenario),
        ("POST", "/dev/api/speech", _speech),
        ("GET", "/dev/api/live", _live),
        ("GET", "/dev/api/callers", list_callers),
        ("GET", "/dev/api/simulated-calls", list_calls),
        ("POST", "/dev/api/simulated-calls", start_call),
        ("GET", "/dev/api/simulated-calls/{conversation_id:id}/messages", listen_to_call),
        ("POST", "/dev/api/simulated-calls/{conversation_id:id}/stop", stop_call),
    ]
    routes: list[BaseRoute] = [Route(path, _endpoint(source, do), methods=[method]) for method, path, do in table]
    return [*routes, Mount("/dev/static", StaticFiles(directory=STATIC))]


def _endpoint(source: Source, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    @functools.wraps(handler)
    async def endpoint(request: Request) -> Response:
        try:
            return await handler(source, request)
        except ClientDisconnect:
            return Response(status_code=400)  # the client is gone
        except (NotFoundError, NotRecordedError) as error:
            return _json({"error": str(error)}, 404)
        except CallerError as error:
            return _json({"error": str(error)}, 502)
        except PlatformAPIError as error:
            return _json({"error": str(error)}, error.status or 502)
        except StoreError as error:
            return _json({"error": str(error)}, 503)
        except DeveloperError as error:
            return _json({"error": str(error)}, 400)

    return endpoint


async def _page(source: Source, request: Request) -> Response:
    html = await asyncio.to_thread((STATIC / "index.html").read_text, encoding="utf-8")
    return HTMLResponse(html, headers={"cache-control": "no-store"})


async def _colors(source: Source, request: Request) -> Response:
    return Response(colors(), media_type="text/css", headers={"cache-control": "no-store"})


async def _agents(source: Source, request: Request) -> Response:
    voice = source.emulator.voice
    speaker = "browser" if isinstance(voice, Silence) and voice.fallback else "server"
    return _json(source.agents() | {"voice": speaker})


async def _models(source: Source, request: Request) -> Response:
    return _json(source.models())


async def _open_session(source: Source, request: Request) -> Response:
    asked = await _read(request, SessionRequest)
    if asked.agent not in source.emulator.agents:
        known = ", ".join(source.emulator.agents)
        raise PlatformAPIError(f"There is no agent {asked.agent!r} here; expected one of {known}.", status=400)
    grant = source.emulator.authorize(asked.agent, conversation_id=asked.conversation_id, metadata=asked.metadata)
    return _json(
        {"client_session_key": grant.key, "conversation_id": grant.conversation_id, "config": dict(grant.config)}
    )


async def _conversations(source: Source, request: Request) -> Response:
    newest: list[TurnRecord] = []
    async for turn in source.store.turns(newest_first=True, bodies=False):
        newest.append(turn)
        if len(newest) >= NEWEST_TURNS:
            break
    by_conversation: dict[str, list[TurnRecord]] = {}
    for turn in newest:
        by_conversation.setdefault(turn.conversation_id, []).append(turn)
    text = request.query_params.get("q", "")
    rows = [_row(source, turns[::-1]) for turns in by_conversation.values() if not text or matches(turns, text)]
    rows.sort(key=lambda row: float(row["last_at"]), reverse=True)
    return _json({"conversations": rows, "all": totals(newest) | latency(newest)})


def _row(source: Source, turns: list[TurnRecord]) -> dict[str, Any]:
    row = conversation_row(turns)
    return row | {"simulated": source.simulated.name_of(row["conversation_id"])}


async def _conversation(source: Source, request: Request) -> Response:
    turns = await _turns(source, request)
    return _json(_row(source, turns) | {"turns": [_live_or(source, turn, shown) for turn in turns]})


async def _export(source: Source, request: Request) -> Response:
    turns = await _turns(source, request)
    headers = {"content-disposition": 'attachment; filename="conversation.html"', "cache-control": "no-store"}
    return HTMLResponse(await asyncio.to_thread(export_page, turns), headers=headers)


async def _turn(source: Source, request: Request) -> Response:
    turn = await source.store.get(*_ids(request))
    if turn is None:
        raise NotFoundError(f"Turn {request.path_params['turn_id']!r} is not in the journal.")
    return _json(_live_or(source, turn, whole))


async def _logs(source: Source, request: Request) -> Response:
    lines = await asyncio.to_thread(lines_of_turn, source.log_dir, _ids(request)[1])
    return _json({"lines": lines, "written": source.log_dir is not None})


async def _fork(source: Source, request: Request) -> Response:
    return _json(await source.fork(await _read(request, ForkRequest)))


async def _save_turn(source: Source, request: Request) -> Response:
    return _json(await source.save_turn(await _read(request, SaveTurnRequest)), 201)


async def _reviews(source: Source, request: Request) -> Response:
    asked = request.query_params
    reviewed = asked.get("reviewed") == "true"
    return _json(await calls_to_review(source.store, since=asked.get("since", DEFAULT_SINCE), reviewed=reviewed))


async def _review(source: Source, request: Request) -> Response:
    return _json(await give_verdict(source, await _read(request, ReviewRequest)))


async def _goal(source: Source, request: Request) -> Response:
    asked = await _read(request, GoalRequest)
    return _json(await while_connected(request, source.guess_goal(asked)))


async def _review_scenario(source: Source, request: Request) -> Response:
    return _json(await source.review_scenario(await _read(request, ReviewScenarioRequest)), 201)


async def _speech(source: Source, request: Request) -> Response:
    asked = await _read(request, SpeechRequest)
    speech = await source.emulator.voice.speak(asked.text)
    return Response(speech.pcm, media_type="application/octet-stream", headers={"cache-control": "no-store"})


async def _live(source: Source, request: Request) -> Response:
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    stream = events(source.emulator.feed, source.closing)
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _turns(source: Source, request: Request) -> list[TurnRecord]:
    conversation_id = request.path_params["conversation_id"]
    turns = [turn async for turn in source.store.turns(conversation_id=conversation_id)]
    if not turns:
        raise NotFoundError(f"Conversation {conversation_id!r} is not in the journal.")
    return turns


def _ids(request: Request) -> tuple[str, str]:
    return request.path_params["conversation_id"], request.path_params["turn_id"]


def _live_or(source: Source, turn: TurnRecord, show: Callable[[TurnRecord], dict[str, Json]]) -> dict[str, Json]:
    """Return a turn as JSON, which `show` makes of the record.

    If the turn runs in this process, its record is taken from memory, and the field `live` is true. The status is not
    enough to tell that a turn runs, because a crashed turn keeps the status `running`.
    """
    live = source.running(turn.conversation_id, turn.turn_id)
    return show(live or turn) | {"live": live is not None}

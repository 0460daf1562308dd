"""The platform's REST API, and the emulator's own routes for faults."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ..exceptions import PlatformAPIError
from ..output.visible import json_text
from .agent_changes import AgentChanges
from .bodies import ModelT, read
from .emulator import Emulator
from .faults import Faults
from .javascript import parse
from .session import Session

Handler: TypeAlias = Callable[[Emulator, Request], Awaitable[Response]]


class _AuthorizeSession(BaseModel):
    agent_id: str
    conversation_id: str | None = Field(default=None, min_length=1, max_length=512)
    config: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    custom_metadata: dict[str, Any] | None = None
    custom_headers: dict[str, str] | None = None


class _OutboundCall(BaseModel):
    """A request for an outbound call. `say` is what the simulated callee says; the platform has no such field."""

    model_config = ConfigDict(extra="ignore")
    from_phone_number: str = Field(min_length=1)
    to_phone_number: str = Field(min_length=1)
    say: list[str] = []


class _Answer(JSONResponse):
    """A response of ASCII JSON, which can carry any text of a client or a backend, even lone surrogates."""

    def render(self, content: Any) -> bytes:
        return json_text(content, ensure_ascii=True).encode()


def rest_routes(emulator: Emulator) -> list[BaseRoute]:
    """Return the routes. They begin at the root of the server: `/v1/…` and `/emulator/…`."""
    table: list[tuple[str, str, Handler]] = [
        ("POST", "/v1/agents/web/authorize_session", _authorize),
        ("GET", "/v1/agents", _list_agents),
        ("POST", "/v1/agents", _create_agent),
        ("GET", "/v1/agents/{agent_id}", _get_agent),
        ("POST", "/v1/agents/{agent_id}", _change_agent),
        ("GET", "/v1/agents/{agent_id}/sessions/{session_id}", _get_session),
        ("GET", "/v1/agents/{agent_id}/sessions/{session_id}/recording", _get_recording),
        ("POST", "/v1/agents/{agent_id}/calls/initiate_outbound", _initiate_outbound),
        ("GET", "/emulator/faults", _get_faults),
        ("PUT", "/emulator/faults", _set_faults),
    ]
    return [Route(path, _endpoint(emulator, handler), methods=[method]) for method, path, handler in table]


def _endpoint(emulator: Emulator, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    @functools.wraps(handler)
    async def endpoint(request: Request) -> Response:
        try:
            if request.url.path.startswith(request.scope.get("root_path", "") + "/v1/"):
                emulator.check_key(request.headers.get("authorization"))
            return await handler(emulator, request)
        except ClientDisconnect:
            return Response(status_code=400)  # the client is gone
        except PlatformAPIError as error:
            return _Answer({"error": str(error)}, error.status or 500)

    return endpoint


async def _authorize(emulator: Emulator, request: Request) -> Response:
    asked = await _read(request, _AuthorizeSession)
    grant = emulator.authorize(**asked.model_dump())
    return _Answer({"client_session_key": grant.key, "conversation_id": grant.conversation_id, "config": grant.config})


async def _list_agents(emulator: Emulator, request: Request) -> Response:
    return _Answer({"agents": [agent.describe() for agent in emulator.agents.values()]})


async def _create_agent(emulator: Emulator, request: Request) -> Response:
    agent = emulator.add_agent()
    return _Answer({**agent.describe(), "webhook_secret": agent.secret}, 201)


async def _get_agent(emulator: Emulator, request: Request) -> Response:
    return _Answer(emulator.agent(request.path_params["agent_id"]).describe())


async def _change_agent(emulator: Emulator, request: Request) -> Response:
    changes = await _read(request, AgentChanges)
    return _Answer(emulator.change_agent(request.path_params["agent_id"], changes).describe())


async def _get_session(emulator: Emulator, request: Request) -> Response:
    return _Answer(_session(emulator, request).describe())


async def _get_recording(emulator: Emulator, request: Request) -> Response:
    path = _session(emulator, request).recording
    if path is None or not await asyncio.to_thread(Path.is_file, path):
        raise PlatformAPIError("This session has no recording", status=404)
    return FileResponse(path, media_type="audio/wav")


async def _initiate_outbound(emulator: Emulator, request: Request) -> Response:
    asked = await _read(request, _OutboundCall)
    phones = {"from_phone_number": asked.from_phone_number, "to_phone_number": asked.to_phone_number}
    grant = emulator.call(request.path_params["agent_id"], say=asked.say, phones=phones)
    return _Answer({"conversation_id": grant.conversation_id})


async def _get_faults(emulator: Emulator, request: Request) -> Response:
    return _Answer(emulator.faults.model_dump())


async def _set_faults(emulator: Emulator, request: Request) -> Response:
    wanted = await _read(request, Faults)
    for name in Faults.model_fields:
        # Change the object in place, because running sessions share it.
        setattr(emulator.faults, name, getattr(wanted, name))
    return _Answer(emulator.faults.model_dump())


def _session(emulator: Emulator, request: Request) -> Session:
    session = emulator.session_of(request.path_params["agent_id"], request.path_params["session_id"])
    if session is None:
        raise PlatformAPIError("Session not found", status=404)
    return session


async def _read(request: Request, model: type[ModelT]) -> ModelT:
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise PlatformAPIError("Expected a JSON body with content-type application/json", status=400)
    return await read(request, model, parse=parse)

"""`POST /api/authorize`: a browser requests a session key, and we get it from the platform with the API key.

Each session costs the owner money. So we accept only listed pages, listed agents, a limited rate for each client and a
small body of known fields. Before we call the platform, we also run the agent's `on_authorize` hooks. The API key
appears in no answer and no log.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from loguru import logger

from ..agent.authorization import AuthorizeRequest
from ..conversation.data_events import within
from ..exceptions import EventError, HookTimeoutError, PlatformAPIError, PlatformError, RefusedError, StoreError
from ..journal.record import Json
from ..journal.stores.base import Store
from ..observability import context
from ..observability.privacy import caller_secrets, masking
from ..platform.client import PlatformClient
from ..settings import Settings
from ..stream.event_stream import Receive, Send
from ..wellformed import dump_json, load_json
from .asgi import DisconnectedError, Scope, header, read_body, send_error, send_json
from .origins import Headers, allowed, cors_headers, preflight_headers
from .rate_limit import RateLimit

Hook: TypeAlias = Callable[[AuthorizeRequest], Awaitable[Any]]


class Authorize:
    """The authorize endpoint. It stores the metadata of a new session for the turns of its conversation.

    `hooks` are the `on_authorize` hooks of the agent that answers at the agent route.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self.hooks: list[Hook] = []
        self._settings = settings
        self._store = store
        self._rate = RateLimit(settings.authorize_rate, settings.store)
        self._client: PlatformClient | None = None

    def apply(self, settings: Settings) -> None:
        """Use these settings from the next request on."""
        self._settings = settings
        self._rate.rate = settings.authorize_rate

    def open(self) -> None:
        """Forget connections that were left open by an event loop that is closed. They cannot be used or closed."""
        self._client = None
        self._rate.open()

    async def close(self) -> None:
        """Close the connections to the platform and to the Redis of the rate limit."""
        await self._rate.close()
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def preflight(self, scope: Scope, send: Send) -> None:
        """Answer a CORS preflight request."""
        origin = header(scope, b"origin")
        if not self._allows(scope, origin):
            await send_error(send, 403, _not_listed(origin))
            return
        asked = preflight_headers(header(scope, b"access-control-request-headers"))
        headers = [*cors_headers(origin, self._settings.authorize_origins), *asked]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request, forward it to the platform, and answer with the platform's response or with an error."""
        origin = header(scope, b"origin")
        if not self._allows(scope, origin):
            context.refuse("the origin is not allowed")
            logger.warning("authorize refused: the origin {!r} is not in LAYERCODE_AUTHORIZE_ORIGINS", origin)
            await send_error(send, 403, _not_listed(origin))
            return
        headers = cors_headers(origin, self._settings.authorize_origins)
        wait = await self._rate.wait_for(_client_of(scope))
        if wait:
            context.refuse("too many requests from one client")
            rate = self._settings.authorize_rate
            logger.warning("authorize refused: too many requests from one client; LAYERCODE_AUTHORIZE_RATE is {}", rate)
            more: Headers = [(b"retry-after", str(math.ceil(wait)).encode())]
            reason = f"Too many requests: LAYERCODE_AUTHORIZE_RATE is {rate}. Try again in {math.ceil(wait)} s."
            await send_error(send, 429, reason, headers + more)
            return
        try:
            status, answer = await self._answer(scope, receive)
        except DisconnectedError:
            return
        except PlatformError as error:
            # The reason is only the error's type, because the message may quote what the page sent.
            context.refuse(type(error).__name__)
            logger.warning("authorize refused with {}: {}", error.status, error)
            status, answer = error.status, {"error": str(error)}
        await send_json(send, answer, status, headers)

    def _allows(self, scope: Scope, origin: str | None) -> bool:
        return allowed(origin, header(scope, b"host"), self._settings.authorize_origins)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, Json]:
        limit = min(self._settings.authorize_body_limit, self._settings.body_limit)
        body = await read_body(scope, receive, limit=limit, seconds=self._settings.body_timeout)
        request = self._request(scope, body)
        try:
            await within(self._settings.hook_timeout, self._run_hooks(request), "authorize")
        except PlatformError as error:
            # The page gets the message. The log gets a redacted message, because a hook may quote what the page sent.
            context.refuse(type(error).__name__)
            logger.warning("The on_authorize hook refused with {}: {}", error.status, masking.message_of(error))
            return error.status, {"error": str(error)}
        except HookTimeoutError as error:
            logger.error("The on_authorize hook was cancelled: {}", error)
            return 504, {"error": str(error)}
        except Exception as error:  # noqa: BLE001 - a hook may raise anything, and then the request is refused
            logger.opt(exception=error).error("The on_authorize hook failed: {}", type(error).__name__)
            return 500, {"error": "The server could not check this request."}
        return await self._ask(request)

    async def _run_hooks(self, request: AuthorizeRequest) -> None:
        for hook in self.hooks:
            await hook(request)

    def _request(self, scope: Scope, body: bytes) -> AuthorizeRequest:
        given = _object(body)
        agent_id = _text(given, "agent_id") or self._settings.agent_id
        if not agent_id:
            raise EventError("agent_id is missing; send it, or set LAYERCODE_AGENT_ID.")
        self._check_agent(agent_id)
        metadata = given.get("metadata") or {}
        if not isinstance(metadata, dict):
            raise EventError("metadata is not a JSON object.")
        caller_secrets.remember(metadata)
        forwarded = ("sdk_version", *self._settings.authorize_fields)
        own = {"agent_id", "conversation_id", "metadata"}
        extra = {name: given[name] for name in forwarded if name not in own and given.get(name) is not None}
        return AuthorizeRequest(
            agent_id,
            _text(given, "conversation_id"),
            headers={str(name, "latin-1").lower(): str(value, "latin-1") for name, value in scope["headers"]},
            client=_client_of(scope),
            origin=header(scope, b"origin"),
            metadata=metadata,
            extra=extra,
        )

    def _check_agent(self, agent_id: str) -> None:
        listed = self._settings.authorize_agents or ((self._settings.agent_id,) if self._settings.agent_id else ())
        if not listed:
            raise RefusedError(
                "No agent is allowed on this server. Set LAYERCODE_AGENT_ID or LAYERCODE_AUTHORIZE_AGENTS."
            )
        if "*" not in listed and agent_id not in listed:
            raise RefusedError(
                f"The agent {agent_id[:80]!r} is not allowed on this server; see LAYERCODE_AUTHORIZE_AGENTS."
            )

    async def _ask(self, request: AuthorizeRequest) -> tuple[int, Json]:
        if self._settings.api_key is None:
            return 503, {"error": "LAYERCODE_API_KEY is not set on the server."}
        self._client = self._client or PlatformClient.from_settings(self._settings)
        try:
            granted = await self._client.authorize_session(request.body())
        except PlatformAPIError as error:
            logger.warning("authorize_session failed: {}", error)
            if error.status is None:
                return 502, _UNREACHABLE
            return (error.status, {"error": error.reason or "refused"}) if error.status >= 400 else (502, _UNREADABLE)
        await self._establish(granted.conversation_id, request.metadata | request.custom_metadata)
        answer = granted.model_dump(mode="json", exclude_unset=True)
        return 200, load_json(self._client.transport.hide(dump_json(answer).decode()))

    async def _establish(self, conversation_id: str, metadata: dict[str, Json]) -> None:
        if not metadata:
            return
        try:
            await self._store.establish(conversation_id, metadata)
        except StoreError as error:
            # Continue: the session is granted and paid for, and the session's webhooks contain the metadata too.
            logger.error("The metadata of a new session could not be saved: {}", error)


_UNREACHABLE: Json = {"error": "The platform could not be reached; try again."}

_UNREADABLE: Json = {"error": "The platform's answer could not be read; the server's log says why."}


def _object(body: bytes) -> dict[str, Json]:
    try:
        given = load_json(body or b"{}")
    except ValueError as error:
        raise EventError(f"The body is not JSON in UTF-8: {error}.") from error
    if not isinstance(given, dict):
        raise EventError("The body is not a JSON object; expected one with agent_id.")
    return given


def _text(given: dict[str, Json], name: str) -> str | None:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise EventError(f"{name} is not a string.")
    return value or None


def _client_of(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def _not_listed(origin: str | None) -> str:
    return (
        f"The page {str(origin)[:200]!r} may not request a session here. Add its origin to LAYERCODE_AUTHORIZE_ORIGINS."
    )

"""A client of the platform's REST API. Every failure is a PlatformAPIError that says what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from hashlib import sha256
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from loguru import logger
from pydantic import BaseModel, ValidationError

from ..exceptions import ConfigurationError, PlatformAPIError
from .models import AgentInfo, Granted, SessionInfo
from .transport import Sleep, Transport
from .webhook_places import same_url

if TYPE_CHECKING:
    from ..settings import Settings

ModelT = TypeVar("ModelT", bound=BaseModel)
ANSWERED = 200
"""The `status` of a PlatformAPIError if the platform answered with status 200, but the content cannot be used."""
READ_BACK_PAUSES = (0.3, 1.0)
"""Seconds between the reads that check whether a change of the webhook was stored."""


class PlatformClient:
    """Calls the platform with an API key. Use it as a context manager, or call `aclose`. Times are in seconds."""

    def __init__(
        self, api_key: str, *, base_url: str = "https://api.layercode.com/v1", timeout: float = 10.0,
        sleep: Sleep = asyncio.sleep,
    ) -> None:  # fmt: skip
        self.transport = Transport(api_key, base_url, timeout=timeout, sleep=sleep)
        self.account = sha256(f"{base_url}\n{api_key}".encode()).hexdigest()[:16]
        """A hash that identifies the account in files, where the key itself must not be written."""

    @classmethod
    def from_settings(cls, settings: Settings) -> PlatformClient:
        """Return a client with these settings. Raises ConfigurationError if they have no API key."""
        if settings.api_key is None:
            raise ConfigurationError(
                "LAYERCODE_API_KEY is not set. Copy the key from the platform's dashboard into .env."
            )
        return cls(settings.api_key.get_secret_value(), base_url=settings.api_url, timeout=settings.api_timeout)

    async def __aenter__(self) -> PlatformClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self.transport.client.aclose()

    # --- agents

    async def agents(self) -> list[AgentInfo]:
        """Return all agents of the account that have an id."""
        answer = await self.transport.json("GET", "agents")
        found = answer.get("agents")
        if not isinstance(found, list):
            raise PlatformAPIError(
                "The platform's answer to GET agents has no list `agents`. Check LAYERCODE_API_URL.", status=ANSWERED
            )
        return [_read(AgentInfo, item) for item in found if _has_id(item)]

    async def agent(self, agent_id: str) -> AgentInfo:
        """Return one agent."""
        return _read(AgentInfo, _inner(await self.transport.json("GET", f"agents/{_id(agent_id)}")))

    async def create_agent(self, template_id: str | None = None) -> AgentInfo:
        """Create an agent. Only this answer contains its `webhook_secret`."""
        body = {"template_id": template_id} if template_id else {}
        return _read(AgentInfo, _inner(await self.transport.json("POST", "agents", body)))

    async def set_webhook(self, agent_id: str, url: str) -> AgentInfo:
        """Set the agent's webhook to `url`, and return the agent as it is read back.

        Raises PlatformAPIError if the platform accepted the change but did not store it.
        """
        await self.transport.send("POST", f"agents/{_id(agent_id)}", {"webhook_url": url})
        found = await self.agent(agent_id)
        for pause in READ_BACK_PAUSES:
            if same_url(found.webhook_url, url):
                break
            await self.transport.sleep(pause)
            found = await self.agent(agent_id)
        if same_url(found.webhook_url, url):
            return found
        raise PlatformAPIError(
            f"The platform accepted {url} as the webhook of {agent_id}, but its webhook is still "
            f"{found.webhook_url or 'not set'}. Set it in the platform's dashboard.",
            status=ANSWERED,
        )

    # --- sessions and calls

    async def authorize_session(self, request: Mapping[str, Any]) -> Granted:
        """Return a key with which a browser can open one session. The key is valid for an hour."""
        return _read(Granted, await self.transport.json("POST", "agents/web/authorize_session", request))

    async def session(self, agent_id: str, session_id: str) -> SessionInfo:
        """Return one session."""
        return _read(
            SessionInfo, await self.transport.json("GET", f"agents/{_id(agent_id)}/sessions/{_id(session_id)}")
        )

    async def call(self, agent_id: str, *, from_number: str, to_number: str) -> str:
        """Let the agent dial a number, and return the conversation's id. A call costs money, so it is never retried."""
        body = {"from_phone_number": from_number, "to_phone_number": to_number}
        answer = await self.transport.json("POST", f"agents/{_id(agent_id)}/calls/initiate_outbound", body)
        conversation_id = answer.get("conversation_id")
        if not isinstance(conversation_id, str):
            raise PlatformAPIError("The platform accepted the call but returned no conversation_id.", status=ANSWERED)
        return conversation_id


def _has_id(item: object) -> bool:
    """Return whether a listed agent has an id. An agent without an id is logged and skipped."""
    if isinstance(item, dict) and isinstance(item.get("id"), str | int):
        return True
    logger.warning("Ignored an agent that the platform listed without an id: {!r}", str(item)[:80])
    return False


def _id(value: str) -> str:
    return quote(value, safe="")


def _inner(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the agent's fields from an answer. They may be nested, as in `{"agent": {…}}`."""
    inner = answer.get("agent")
    return {**answer, **inner} if isinstance(inner, dict) and "id" not in answer else answer


def _read(model: type[ModelT], value: object) -> ModelT:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the answer"
        raise PlatformAPIError(
            f"The platform's answer is not the expected {model.__name__}: {where}: {first['msg']}. "
            "Check LAYERCODE_API_URL.",
            status=ANSWERED,
        ) from error

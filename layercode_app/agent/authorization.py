"""The argument of an `on_authorize` hook: the page's request for a session, and the request sent to the platform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..journal.record import Json


@dataclass
class AuthorizeRequest:
    """A page's request for a session. The hook can see who sent it, and may change what is sent to the platform.

    `headers` (lower-case names), `client` (the IP address), `origin` and all data of the page come from the caller: do
    not trust them. To refuse the request, raise `RefusedError("Sign in first.", status=401)`.

        @agent.on_authorize
        async def authorize(request: AuthorizeRequest) -> None:
            user = await user_of(request.headers.get("authorization"))
            if user is None:
                raise RefusedError("Sign in first.", status=401)
            request.metadata["user"] = user.id
    """

    agent_id: str
    conversation_id: str | None
    headers: Mapping[str, str]
    client: str
    origin: str | None
    metadata: dict[str, Json] = field(default_factory=dict)
    """The page's metadata. The hook may add to it or replace it; turns read it as `turn.metadata`."""
    custom_metadata: dict[str, Json] = field(default_factory=dict)
    """More metadata, which the platform sends with every webhook of the session. Empty unless the hook sets it."""
    custom_headers: dict[str, str] = field(default_factory=dict)
    """Headers that are added to every webhook of the session."""
    config: dict[str, Json] = field(default_factory=dict)
    """Overrides of the agent's configuration at the platform, for this session only."""
    extra: dict[str, Json] = field(default_factory=dict)
    """Other fields of the page's request to pass on: `sdk_version`, and those that LAYERCODE_AUTHORIZE_FIELDS names."""

    def body(self) -> dict[str, Json]:
        """Return the body of the request to the platform, without empty fields."""
        own = {
            "agent_id": self.agent_id,
            "conversation_id": self.conversation_id,
            "metadata": self.metadata,
            "custom_metadata": self.custom_metadata,
            "custom_headers": self.custom_headers,
            "config": self.config,
        }
        return self.extra | {name: value for name, value in own.items() if value}

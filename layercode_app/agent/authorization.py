"""What an `on_authorize` hook is handed: who asks for a session, and what the platform will be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..conversation.record import Json


@dataclass
class AuthorizeRequest:
    """A page that asks for a session. The hook reads who it is, and changes what is asked for in its name.

    `headers` (lower-case names), `client` (the address), `origin` and what the page sent are the caller's word, not to
    be trusted. To refuse, raise `RefusedError("Sign in first.", status=401)`.

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
    """What the page sent, which the hook adds to or replaces; turns get it as `turn.metadata`."""
    custom_metadata: dict[str, Json] = field(default_factory=dict)
    """Sent with every webhook of the session, beside the metadata."""
    custom_headers: dict[str, str] = field(default_factory=dict)
    """Headers that every webhook of the session shall carry."""
    config: dict[str, Json] = field(default_factory=dict)
    """Changes to the agent's configuration at the platform, for this session."""
    extra: dict[str, Json] = field(default_factory=dict)
    """What else is forwarded: `sdk_version`, and the fields that LAYERCODE_AUTHORIZE_FIELDS allows."""

    def body(self) -> dict[str, Json]:
        """What the platform is sent; empty fields are left out."""
        own = {
            "agent_id": self.agent_id,
            "conversation_id": self.conversation_id,
            "metadata": self.metadata,
            "custom_metadata": self.custom_metadata,
            "custom_headers": self.custom_headers,
            "config": self.config,
        }
        return self.extra | {name: value for name, value in own.items() if value}

"""The emulated platform: its agents, granted and open sessions, and faults."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..exceptions import PlatformAPIError
from ..journal import steady_clock
from ..webhook import HEADER
from .agent_changes import AgentChanges
from .agents import AgentSpec, Grant, merge
from .faults import Faults
from .feed import Feed
from .session import Send, Session
from .speech import Voice, pick_voice
from .transcription import Transcriber
from .webhooks import WebhookClient

KEY_LIFETIME = 3600.0
"""Seconds for which a client's session key is valid."""
_KEPT_SESSIONS = 1000
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
_RESERVED = {HEADER, "content-type", "content-length", "content-encoding", "transfer-encoding", "host", "connection"}


class Emulator:
    """LayerCode's platform on this machine. Each request of a client or a backend is a method.

    With `any_agent`, the default agent also serves unknown ids; `any_agent` is on by default if `agents` is empty.
    `recordings` is the folder for WAV files, None for no recordings. `transcriber` transcribes the callers' audio.
    Without a transcriber, the client gets a transcript that says that speech recognition is off. Refused requests raise
    PlatformAPIError with the status that the platform would answer.
    """

    def __init__(
        self,
        default: AgentSpec,
        *,
        agents: Sequence[AgentSpec] = (),
        any_agent: bool | None = None,
        api_key: str | None = None,
        voice: Voice | None = None,
        recordings: Path | None = None,
        faults: Faults | None = None,
        transcriber: Transcriber | None = None,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        self._added: dict[str, AgentSpec] = {}
        self._changes: dict[str, AgentChanges] = {}
        """The changes that clients made to each agent, by the agent's id."""
        self._served: set[str] = set()
        """The ids of all agents ever passed to `use`. An agent counts as deleted if the latest call left it out."""
        self._any_agent = not agents if any_agent is None else any_agent
        self.use(default, *agents)
        self.faults = faults or Faults()
        self.feed = Feed()
        self.sessions: dict[str, Session] = {}
        """The latest sessions by id, open or closed."""
        self._api_key = api_key
        self.voice = voice or pick_voice()
        self._transcriber = transcriber
        self._recordings = recordings
        self._new_id = new_id or (lambda: secrets.token_hex(8))
        self._grants: dict[str, Grant] = {}
        self._open: dict[str, Session] = {}  # by conversation
        self._hang_ups: dict[str, Callable[[str], None]] = {}
        self._clients: dict[tuple[str, str], WebhookClient] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def use(self, default: AgentSpec, *others: AgentSpec) -> None:
        """Replace the agents, except those that clients added.

        The changes that clients made to the earlier agents are applied to the new ones. Changes to an agent that is no
        longer given are not applied. Open sessions keep the agents that they started with.
        """
        self._default = default
        self.agents = {agent.id: agent for agent in (default, *others)} | self._added
        self._served |= {default.id, *(agent.id for agent in others)}
        for agent_id, changes in self._changes.items():
            if agent_id in self.agents or (self._any_agent and agent_id not in self._served):
                agent = self.agents[agent_id] = self.agent(agent_id)
                changes.apply(agent)

    def check_key(self, authorization: str | None) -> None:
        """Raise PlatformAPIError (400) if an API key is set, and the header `Authorization` does not contain it."""
        if self._api_key is not None and authorization != f"Bearer {self._api_key}":
            raise PlatformAPIError("Invalid API key", status=400)

    def agent(self, agent_id: object) -> AgentSpec:
        """Return the agent with this id. Raises PlatformAPIError (400) if there is none."""
        if isinstance(agent_id, str) and agent_id in self.agents:
            return self.agents[agent_id]
        if self._any_agent and isinstance(agent_id, str) and agent_id:
            return replace(self._default, id=agent_id)
        known = ", ".join(self.agents)
        raise PlatformAPIError(f"Agent {agent_id!r} not found; this emulator has {known}", status=400)

    def add_agent(self) -> AgentSpec:
        """Add an agent with a new secret. Its webhook is the default agent's webhook until it is changed."""
        agent = AgentSpec(f"agent-{self._new_id()}", self._default.webhook_url, secrets.token_hex(16))
        self.agents[agent.id] = self._added[agent.id] = agent
        return agent

    def change_agent(self, agent_id: object, changes: AgentChanges) -> AgentSpec:
        """Change an agent and return it.

        If the id is unknown but the default agent serves unknown ids, an agent with this id is added.
        """
        agent = self.agent(agent_id)
        changes.apply(agent)
        self.agents[agent.id] = agent
        before = self._changes.get(agent.id)
        self._changes[agent.id] = before.then(changes) if before else changes
        return agent

    def session_of(self, agent_id: str, session_id: str) -> Session | None:
        """Return a session of an agent, or None.

        A session that was opened with an unknown agent id counts as a session of the default agent.
        """
        session = self.sessions.get(session_id)
        if session is None:
            return None
        own = session.grant.agent.id
        return session if agent_id == own or (own not in self.agents and agent_id == self._default.id) else None

    def authorize(
        self,
        agent_id: object,
        *,
        conversation_id: str | None = None,
        config: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        custom_metadata: Mapping[str, Any] | None = None,
        custom_headers: Mapping[str, str] | None = None,
        phones: Mapping[str, str] | None = None,
    ) -> Grant:
        """Grant a session of a new or an existing conversation. Earlier keys of the conversation become invalid.

        An unknown `conversation_id` is accepted, because backends keep conversations for longer than an emulator runs.
        Raises PlatformAPIError if the agent is unknown, if a header is invalid, or if the fault `status` is on.
        """
        self.refuse_on_demand()
        agent = self.agent(agent_id)
        headers = _allowed(custom_headers or {})
        self._forget_keys(conversation_id)  # Only now, because a refused request must not make earlier keys invalid.
        grant = Grant(
            key=secrets.token_urlsafe(24),
            agent=agent,
            conversation_id=conversation_id or f"conv-{self._new_id()}",
            config=merge(agent.config(), config or {}),
            expires_at=steady_clock.now() + KEY_LIFETIME,
            metadata=metadata,
            custom_metadata=custom_metadata,
            headers=headers,
            phones=phones or {},
        )
        self._grants[grant.key] = grant
        return grant

    def _forget_keys(self, conversation_id: str | None) -> None:
        now = steady_clock.now()
        kept = self._grants.values()
        self._grants = {g.key: g for g in kept if g.conversation_id != conversation_id and g.expires_at > now}

    def refuse_on_demand(self) -> None:
        """If the fault named `status` is on, raise PlatformAPIError with the HTTP status that is set for this fault."""
        if status := self.faults.authorize_status:
            reason = {402: "Insufficient balance", 429: "Too many requests"}.get(
                status, "Refused by the fault `status`"
            )
            raise PlatformAPIError(reason, status=status)

    def redeem(self, key: str | None) -> Grant:
        """Return the grant of a client's key. Raises PlatformAPIError (401) for a wrong, replaced or expired key."""
        grant = self._grants.get(key or "")
        if grant is None or grant.expires_at < steady_clock.now():
            raise PlatformAPIError("The client_session_key is wrong, replaced or expired", status=401)
        return grant

    def open(
        self,
        grant: Grant,
        *,
        send: Send,
        hang_up: Callable[[str], None],
        ip_address: str = "127.0.0.1",
        base_url: str = "",
    ) -> Session:
        """Open a session, and close an older connection of the same conversation."""
        if grant.conversation_id in self._open:
            self.spawn(self.close(self._open[grant.conversation_id], "replaced by a newer connection"))
        session_id = f"sess-{self._new_id()}"
        agent = grant.agent
        session = Session(
            session_id,
            grant,
            agent=self._client(agent.webhook_url, agent.secret),
            session=self._client(agent.session_webhook_url or agent.webhook_url, agent.secret),
            voice=self.voice,
            feed=self.feed,
            faults=self.faults,
            new_id=self._new_id,
            send=send,
            hang_up=hang_up,
            recording=None if self._recordings is None else self._recordings / f"{session_id}.wav",
            recording_url=f"{base_url}/v1/agents/{agent.id}/sessions/{session_id}/recording",
            ip_address=ip_address,
            transcriber=self._transcriber,
        )
        self._open[grant.conversation_id] = session
        self._hang_ups[session_id] = hang_up
        self._keep(session)
        return session

    async def close(self, session: Session, reason: str = "") -> None:
        """Close a session. With a `reason`, the client's connection is closed too.

        If this method is cancelled, closing continues in the background.
        """
        if self._open.get(session.conversation_id) is session:
            del self._open[session.conversation_id]
        hang_up = self._hang_ups.pop(session.id, None)
        if hang_up is not None and reason:
            hang_up(reason)
        await asyncio.shield(self.spawn(session.close()))

    def call(self, agent_id: object, *, say: Sequence[str] = (), phones: Mapping[str, str] | None = None) -> Grant:
        """Start a simulated caller, who listens, says the texts in `say` in order and hangs up.

        Return the caller's grant, without waiting for the end of the call. `phones` contains the two numbers of a phone
        call.
        """
        grant = self.authorize(agent_id, phones=phones)
        self.spawn(self._converse(grant, say))
        return grant

    async def _converse(self, grant: Grant, say: Sequence[str]) -> None:
        hung_up = asyncio.Event()
        session = self.open(grant, send=lambda _: None, hang_up=lambda _: hung_up.set())
        listening = asyncio.create_task(_say_all(session, say))
        hanging_up = asyncio.create_task(hung_up.wait())
        await asyncio.wait([listening, hanging_up], return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        hanging_up.cancel()
        await self.close(session)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a coroutine in the background until it ends or the emulator closes."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def end_sessions(self, *, within: float = 5) -> None:
        """End every session, and wait up to `within` seconds for the last webhooks.

        If the backend is served with this emulator, call this before the server stops listening.
        """
        for session in list(self._open.values()):
            self.spawn(self.close(session, "the platform is shutting down"))
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=within)
        late = set(self._tasks)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def aclose(self, *, within: float = 5) -> None:
        """End every session, wait up to `within` seconds for the last webhooks, and close the connections."""
        await self.end_sessions(within=within)
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()
        if self._transcriber is not None:
            await self._transcriber.aclose()

    def _client(self, url: str, secret: str) -> WebhookClient:
        if (url, secret) not in self._clients:
            self._clients[url, secret] = WebhookClient(url, secret)
        return self._clients[url, secret]

    def _keep(self, session: Session) -> None:
        self.sessions[session.id] = session
        if len(self.sessions) > _KEPT_SESSIONS:
            del self.sessions[next(iter(self.sessions))]


async def _say_all(session: Session, say: Sequence[str]) -> None:
    session.receive({"type": "client.ready"})
    await session.idle()
    for text in say:
        session.receive({"type": "client.response.text", "content": text})
        await session.idle()


def _allowed(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the custom headers without reserved ones. Raises PlatformAPIError (400) for an invalid header."""
    for name, value in headers.items():
        if not (_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)):
            raise PlatformAPIError(f"custom_headers: {name!r}: {value!r} cannot be sent as a header", status=400)
    return {name: value for name, value in headers.items() if name.lower() not in _RESERVED}

"""The webhook endpoint on plain ASGI: verify the raw bytes, parse the event, answer with a stream or JSON."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from loguru import logger

from ..agent.runner import AgentRunner
from ..agent.voice_agent import VoiceAgent
from ..conversation.admission import TurnHandler
from ..conversation.session_events import SessionHandler
from ..exceptions import HookTimeoutError, PlatformError, SignatureError, StoreError
from ..observability import context, spans
from ..observability.errors import category_of, ends_process, ends_task
from ..observability.turns import running
from ..platform.probe import PROBE, project_here
from ..settings import Settings
from ..stream.event_stream import EventStream, Receive, Send
from ..webhook import HEADER, TOLERANCE_SECONDS, Event, Message, SessionStart, Welcome, parse_event, verify
from .asgi import DisconnectedError, Scope, header, read_body, send_error, send_json
from .probe_answer import answer_probe

_SIGNATURE = HEADER.encode()
SKEW_WARNING = 60.0
"""A warning is logged if a signature's time and our clock differ by at least this many seconds."""
_ANSWERED = (Message, SessionStart, Welcome)
"""Events that are answered with a stream if they have a `turn_id`."""


@dataclass
class Webhook:
    """The endpoint of one agent."""

    agent: AgentRunner
    turns: TurnHandler
    sessions: SessionHandler
    settings: Settings
    refused: Callable[[str], None] = lambda metric: None
    """Called with "bad_signatures" when a signature is refused, for alerts."""
    noted: Callable[[VoiceAgent[Any, Any], Event], None] = lambda voice, event: None
    """Called with every event, to keep track of the open calls."""
    secrets: tuple[str, ...] = field(init=False)
    project: str = field(init=False)
    _warned_of_clock: bool = False

    def __post_init__(self) -> None:
        self.secrets = self.settings.secrets_for(self.agent.name)
        self.project = project_here()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request with a stream or JSON. No answer reveals internals."""
        received = time.perf_counter()
        try:
            event = await self._event(scope, receive)
        except DisconnectedError:
            return
        except PlatformError as error:
            if isinstance(error, SignatureError):
                self.refused("bad_signatures")
            context.refuse(str(error))
            logger.warning("Webhook refused with {}: {}", error.status, error)
            await send_error(send, error.status, str(error))
            return
        if event.type == PROBE:
            await answer_probe(receive, send, project=self.project, agent=self.agent.name)
            return
        self.noted(self.agent.voice, event)
        verified = time.perf_counter()
        turn_id = event.turn_id if isinstance(event, _ANSWERED) else None
        with running(self.agent.name, event, received=received, verified=verified, turn_id=turn_id):
            if isinstance(event, _ANSWERED) and event.turn_id:
                with EventStream(receive, send, event.turn_id) as stream:
                    await self.turns.admit(self.agent, event, stream.listener, received=received)
                return
            await self._acknowledge(event, send, received)

    async def _event(self, scope: Scope, receive: Receive) -> Event:
        body = await read_body(scope, receive, limit=self.settings.body_limit, seconds=self.settings.body_timeout)
        self._look_at_clock(verify(header(scope, _SIGNATURE), body, self.secrets))
        return parse_event(body)

    def _look_at_clock(self, skew: float) -> None:
        """Warn once if the clock is wrong, before the difference is so large that signatures are refused."""
        if abs(skew) < SKEW_WARNING or self._warned_of_clock:
            return
        self._warned_of_clock = True
        logger.warning(
            "This machine's clock is {:.0f} s {} the platform's; beyond {} s every webhook is refused. "
            "Synchronize it with NTP; `layercode-create-app doctor` compares the clocks.",
            abs(skew), "ahead of" if skew > 0 else "behind", TOLERANCE_SECONDS,
        )  # fmt: skip

    async def _acknowledge(self, event: Event, send: Send, received: float) -> None:
        try:
            answer = await self.sessions.handle(self.agent, event, received=received)
        except StoreError as error:
            logger.error("The journal is not available, so {} was refused: {}", event.type, error)
            await send_error(send, 503, "The journal is not available at present. Deliver this event again later.")
            return
        except HookTimeoutError as error:
            spans.failed(error, category_of(error))
            logger.error("The hook for {} was cancelled: {}", event.type, error)
            await send_error(send, 504, str(error))
            return
        except BaseException as error:  # a hook may raise anything
            if ends_task(error) or ends_process(error):
                raise
            spans.failed(error, category_of(error))
            logger.opt(exception=error).error("The hook for {} failed: {}", event.type, type(error).__name__)
            await send_error(send, 500, "The agent could not handle this event.")
            return
        await send_json(send, answer)

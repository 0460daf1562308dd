"""Find the agent that answers an event: the agent that the platform calls, or the agent that took over the call."""

from __future__ import annotations

from typing import TypeVar

from loguru import logger

from ..journal.outbound import AGENT
from ..journal.record import TurnRecord
from ..journal.stores.base import Begun
from ..observability import spans
from .agent_protocol import AgentProtocol
from .prepare_and_save import Services
from .summary import summary_in, uncovered

AgentT = TypeVar("AgentT", bound=AgentProtocol)


async def current(services: Services, called: AgentT, record: TurnRecord, begun: Begun) -> AgentT:
    """Return the agent that answers this turn: `called`, or the agent to which the call was handed over.

    In the second case, the turn is assigned to that agent.
    """
    name = begun.state.get(AGENT)
    if name is None or name == called.name:
        _leave_out_covered(called, begun)
        return called
    agent = services.agents().get(str(name))
    if agent is None:
        logger.warning("The call was handed to {!r}, which is no longer loaded; {} answers instead.", name, called.name)
        _leave_out_covered(called, begun)
        return called
    await enter(services, agent, record, begun, was=called)
    return agent  # type: ignore[return-value]


async def enter(
    services: Services, agent: AgentProtocol, record: TurnRecord, begun: Begun, *, was: AgentProtocol
) -> None:
    """Assign the turn to `agent` instead of `was`: change its record and spans, and read the history for `agent`."""
    record.agent, record.fingerprint = agent.name, agent.fingerprint
    spans.annotate({"gen_ai.agent.name": agent.name})
    if (agent.remembers, agent.sums_up) != (was.remembers, was.sums_up):
        tokens = services.tokens(agent)
        begun.history = await services.store.history(record.conversation_id, tokens=tokens, before=record.position)
    _leave_out_covered(agent, begun)
    if agent.remembers:
        record.history_start = begun.history[0].position if begun.history else 0


def _leave_out_covered(agent: AgentProtocol, begun: Begun) -> None:
    """Remove from the history the turns that the running summary covers."""
    if agent.sums_up:
        begun.history = uncovered(begun.history, summary_in(begun.state))

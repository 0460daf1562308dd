"""Answer a turn without recording it: with an apology if the journal is unavailable, or with the busy text.

The busy text is spoken when too many turns are running or the server is shutting down.
"""

from __future__ import annotations

from loguru import logger

from ..exceptions import StoreError
from ..journal.record import END, Status
from .agent_protocol import AgentProtocol
from .listener import Listener
from .live import LiveTurn
from .prepare_and_save import Services
from .turn_lifecycle import apology


async def apologise(
    services: Services, agent: AgentProtocol, live: LiveTurn, listener: Listener, error: StoreError
) -> None:
    """Speak the apology because the journal is unavailable, and log the error."""
    logger.error("The journal is not available, so the turn was not answered: {}", error)
    live.record.error_category, live.record.error = "store", type(error).__name__
    live.record.impact = "apology"
    services.failed(live.record, error)
    await _speak(services, live, listener, apology(agent, services.limits))


async def say_busy(services: Services, live: LiveTurn, listener: Listener, *, running: int) -> None:
    """Speak the busy text at once because too many turns run; do not write to the journal, which is busy too."""
    logger.warning("The turn was refused: {} turns are running, or the server is shutting down", running)
    live.record.error_category, live.record.error, live.record.impact = "overload", "OverloadedError", "busy"
    await _speak(services, live, listener, services.limits.busy)


async def _speak(services: Services, live: LiveTurn, listener: Listener, text: str) -> None:
    live.record.status = Status.FAILED
    # If the listener has followed another worker's turn, it counts the frames of that turn as sent. So reset it.
    listener.begin_again()
    live.add(listener)
    live.speak(text, "apology")
    live.emit(END)
    live.ending = True
    live.collect()
    await live.flush_all()
    services.finished(live.record)

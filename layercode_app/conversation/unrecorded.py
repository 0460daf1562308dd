"""Turns that the journal has no record of, because it is down or because there are too many: spoken for all the same."""

from __future__ import annotations

from loguru import logger

from ..exceptions import StoreError
from .answerer import Answerer
from .listener import Listener
from .live import LiveTurn
from .record import END, Status
from .run import apology
from .work import Services


async def apologise(services: Services, agent: Answerer, live: LiveTurn, listener: Listener, error: StoreError) -> None:
    """The journal is down: the caller hears the apology, and the log has what the journal could not take."""
    logger.error("The journal is not available, so the turn was not answered: {}", error)
    live.record.error_category, live.record.error = "store", type(error).__name__
    live.record.impact = "apology"
    await _speak(services, live, listener, apology(agent, services.limits))


async def say_busy(services: Services, live: LiveTurn, listener: Listener, *, running: int) -> None:
    """One turn too many: the caller is told at once; the journal, which is busy too, is left alone."""
    logger.warning("The turn was not taken: {} are running, or the server is going down", running)
    live.record.error_category, live.record.error, live.record.impact = "overload", "OverloadedError", "busy"
    await _speak(services, live, listener, services.limits.busy)


async def _speak(services: Services, live: LiveTurn, listener: Listener, text: str) -> None:
    live.record.status = Status.FAILED
    # It may have heard the beginning of a turn that another worker runs.
    listener.begin_again()
    live.add(listener)
    live.speak(text, "apology")
    live.emit(END)
    live.ending = True
    live.collect()
    await live.flush_all()
    services.finished(live.record)

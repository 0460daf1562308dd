"""Answer data events from the caller's page: a hook gets a Turn, as in spoken turns, and returns JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..exceptions import HookTimeoutError
from ..journal.cost import DATA_COSTS
from ..journal.record import Json, Status
from ..observability.errors import category_of
from ..webhook import Data
from . import carried_speech
from .agent_protocol import EventAgentProtocol
from .feedback import feedback_in, take_feedback
from .live import LiveTurn
from .prepare_and_save import Work
from .timeout import Timeout, under

T = TypeVar("T")


async def within(seconds: float, work: Awaitable[T], what: str) -> T:
    """Wait up to `seconds` for a hook. Raises HookTimeoutError, with `what` as the name of the event in its message."""
    deadline = Timeout(seconds)
    try:
        return await under(deadline, work)
    except TimeoutError as error:
        if not deadline.passed:
            raise
        limit = f"LAYERCODE_HOOK_TIMEOUT is {seconds:g} s"
        raise HookTimeoutError(f"The agent took too long to handle {what}: {limit}.") from error


async def answer(work: Work, agent: EventAgentProtocol, event: Data, running: Callable[[], LiveTurn | None]) -> Json:
    """Run the hooks for data and return their JSON. `running` returns the conversation's running turn, or None."""
    record, answered = work.live.record, None
    try:
        turn = work.prepare()
        await work.recall(turn)
        answering = _undoable(work.live, agent.answer_data(turn, event))
        answered = await within(work.services.limits.hook_timeout, answering, "data")
        work.live.check_state()
        if (feedback := feedback_in(event.data)) is not None:
            recorded = await take_feedback(work.services, running(), event.conversation_id, feedback)
            answered = recorded if answered is None else answered
        record.status = Status.COMPLETE
    except BaseException as error:
        record.status, record.error, record.error_category = Status.FAILED, type(error).__name__, category_of(error)
        work.services.failed(record, error)
        raise
    finally:
        answered = await _end(work, answered, running())
    return {} if answered is None else answered


async def _undoable(live: LiveTurn, answering: Awaitable[T]) -> T:
    """Wait for the hooks, and return their answer. If the hooks are cancelled or time out, undo their changes."""
    with live.undoable():
        return await answering


async def _end(work: Work, answered: Json, running: LiveTurn | None) -> Json:
    """Pass on the output of the hooks, save the record, and return the answer.

    A running turn speaks and sends the output; if none runs, the next turn does. The answer is what a hook returned. If
    no hook returned anything and no turn is running, the answer is the item that was sent with `turn.data`, provided
    that there was exactly one.
    """
    live, record, left = work.live, work.live.record, []
    live.end_text()
    said = carried_speech.said_by(live)
    if said and not carried_speech.hand_to(running, said):
        if answered is None and record.status is Status.COMPLETE and len(said.get("data", ())) == 1:
            answered = said.pop("data")[0]
        left = [said] if said else []
    if (record.usage or record.outlasting) and live.flow is not None:
        live.flow.keep(DATA_COSTS, "yes")
    await work.save(total=live.elapsed_ms(), left=left)
    work.services.report(live)
    return answered

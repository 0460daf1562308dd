"""Jobs for the tasks that an agent passed to `turn.background`, and for the notices of `turn.handoff`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from .record import Json, TurnRecord
from .stores.base import Job

TASK = "task"
HANDOFF = "handoff"
"""The outcome of a turn that asked for a person to take over, and the job that posts the notice of it."""
HANDOFF_TASK = "layercode.handoff"
"""The name under which such a notice is among the task calls of its turn's record."""


def job_of(record: TurnRecord, number: int | str, name: str, arguments: dict[str, Json], *, agent: str = "") -> Job:
    """Build the job for a call of a task.

    The job's id contains the turn's ids. So a turn that runs again does not enqueue the job a second time.
    """
    job_id = f"{TASK}-{record.conversation_id}-{record.turn_id}-{number}"
    return Job(job_id, TASK, agent or record.agent, {"task": name, "arguments": arguments}, record.conversation_id)


def task_jobs(record: TurnRecord) -> list[Job]:
    """Build a job for each task call in the turn's record. Calls that were enqueued are no longer in the record."""
    return [_job(record, call) for call in record.tasks]


def _job(record: TurnRecord, call: Json) -> Job:
    if call["task"] == HANDOFF_TASK:
        return _handoff_job(record, call)
    return job_of(record, call["number"], call["task"], call["arguments"], agent=call["agent"])


def _handoff_job(record: TurnRecord, call: Json) -> Job:
    """Build the job that posts the notice of a hand-off. Its payload is the body that is posted."""
    event = record.event if isinstance(record.event, dict) else {}
    payload = {
        "type": HANDOFF,
        "conversation_id": record.conversation_id,
        "session_id": record.session_id,
        "turn_id": record.turn_id,
        "agent": call["agent"],
        "reason": call["arguments"]["reason"],
        "from_phone_number": event.get("from_phone_number"),
        "at": call["arguments"]["at"],
    }
    job_id = f"{HANDOFF}-{record.conversation_id}-{record.turn_id}-{call['number']}"
    return Job(job_id, HANDOFF, call["agent"], payload, record.conversation_id)


async def enqueue_tasks(record: TurnRecord, enqueue: Callable[[Job], Awaitable[object]]) -> None:
    """Enqueue a job for each task call in the turn's record, and remove these calls from the record."""
    jobs = task_jobs(record)
    for job in jobs:
        await enqueue(job)
    del record.tasks[: len(jobs)]  # Others may have been added meanwhile.

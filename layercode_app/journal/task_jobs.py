"""Jobs for the tasks that an agent passed to `turn.background`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from .record import Json, TurnRecord
from .stores.base import Job

TASK = "task"


def job_of(record: TurnRecord, number: int | str, name: str, arguments: dict[str, Json], *, agent: str = "") -> Job:
    """Build the job for a call of a task.

    The job's id contains the turn's ids. So a turn that runs again does not enqueue the job a second time.
    """
    job_id = f"{TASK}-{record.conversation_id}-{record.turn_id}-{number}"
    return Job(job_id, TASK, agent or record.agent, {"task": name, "arguments": arguments}, record.conversation_id)


def task_jobs(record: TurnRecord) -> list[Job]:
    """Build a job for each task call in the turn's record. Calls that were enqueued are no longer in the record."""
    return [
        job_of(record, call["number"], call["task"], call["arguments"], agent=call["agent"]) for call in record.tasks
    ]


async def enqueue_tasks(record: TurnRecord, enqueue: Callable[[Job], Awaitable[object]]) -> None:
    """Enqueue a job for each task call in the turn's record, and remove these calls from the record."""
    jobs = task_jobs(record)
    for job in jobs:
        await enqueue(job)
    del record.tasks[: len(jobs)]  # Others may have been added meanwhile.

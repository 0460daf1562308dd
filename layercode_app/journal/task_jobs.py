"""Jobs for the tasks that an agent passed to `turn.background`, and for the notices of `turn.handoff`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from .record import Json, TurnRecord
from .stores.base import Job

TASK = "task"
HANDOFF = "handoff"
"""The name of an outcome and of a job. With the outcome, a turn asks a person to take over. The job posts a notice of
this."""
HANDOFF_TASK = "layercode.handoff"
"""The name of the task call in a turn's record that posts such a notice."""


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
        return handoff_job(call["agent"], **call["arguments"])
    return job_of(record, call["number"], call["task"], call["arguments"], agent=call["agent"])


def handoff_call(record: TurnRecord, number: int) -> Json:
    """Build the task call that posts the notice of a hand-off. `number` is the hand-off's index among the outcomes."""
    event = record.event if isinstance(record.event, dict) else {}
    notice = {
        "type": HANDOFF,
        "conversation_id": record.conversation_id,
        "session_id": record.session_id,
        "turn_id": record.turn_id,
        "agent": record.agent,
        "reason": record.outcomes[number]["reason"],
        "from_phone_number": event.get("from_phone_number"),
        "at": time.time(),
    }
    arguments = {"number": number, "notice": notice}
    return {"number": f"{HANDOFF}-{number}", "task": HANDOFF_TASK, "arguments": arguments, "agent": record.agent}


def handoff_job(agent: str, number: int, notice: dict[str, Json]) -> Job:
    """Build the job that posts the notice of a hand-off.

    The job has the same id as in earlier releases. So if a worker of this release and a worker of an earlier release
    enqueue the job for the same notice, the notice is posted once.
    """
    conversation_id = notice["conversation_id"]
    job_id = f"{HANDOFF}-{conversation_id}-{notice['turn_id']}-{number}"
    return Job(job_id, HANDOFF, agent, notice, conversation_id)


def add_handoffs(record: TurnRecord) -> None:
    """Add the missing task calls for the hand-offs of a turn whose worker has an earlier release.

    Such a worker records no task calls for hand-offs. While it lives, it enqueues the jobs for the hand-offs itself
    after the turn has ended. So call this function only if the worker is dead.
    """
    known = {call["number"] for call in record.tasks}
    for number, outcome in enumerate(record.outcomes):
        # The agent's own code can also record an outcome with this name. Such an outcome has no reason.
        if outcome["name"] == HANDOFF and "reason" in outcome and f"{HANDOFF}-{number}" not in known:
            record.tasks.append(handoff_call(record, number))


async def enqueue_tasks(record: TurnRecord, enqueue: Callable[[Job], Awaitable[object]]) -> None:
    """Enqueue a job for each task call in the turn's record, and remove these calls from the record."""
    jobs = task_jobs(record)
    for job in jobs:
        await enqueue(job)
    del record.tasks[: len(jobs)]  # Others may have been added meanwhile.

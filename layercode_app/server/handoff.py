"""Notify LAYERCODE_HANDOFF_URL that a caller wants a person. Each notice is a job, which survives restarts."""

from __future__ import annotations

import time

import httpx
from loguru import logger

from ..conversation.turn import HANDOFF
from ..exceptions import DeveloperError, StoreError
from ..jobs.queue import Jobs
from ..journal.record import TurnRecord
from ..journal.stores.base import Job
from ..settings import Settings
from ..webhook import HEADER, sign
from ..wellformed import dump_json

TIMEOUT_SECONDS = 10.0


async def enqueue_handoffs(record: TurnRecord, jobs: Jobs) -> None:
    """Enqueue one notice for each hand-off of a turn; calling it again for the same turn adds none."""
    event = record.event if isinstance(record.event, dict) else {}
    for number, outcome in enumerate(record.outcomes):
        if outcome["name"] != HANDOFF:
            continue
        payload = {
            "type": HANDOFF,
            "conversation_id": record.conversation_id,
            "session_id": record.session_id,
            "turn_id": record.turn_id,
            "agent": record.agent,
            "reason": outcome.get("reason"),
            "from_phone_number": event.get("from_phone_number"),
            "at": time.time(),
        }
        job_id = f"{HANDOFF}-{record.conversation_id}-{record.turn_id}-{number}"
        try:
            await jobs.enqueue(Job(job_id, HANDOFF, record.agent, payload, record.conversation_id))
        except StoreError as error:
            logger.error("A hand-off could not be recorded, so it is not delivered: {}", error)


def wants_person(record: TurnRecord) -> bool:
    """Return whether a hand-off to a person was requested in the turn."""
    return bool(record.outcomes) and any(outcome["name"] == HANDOFF for outcome in record.outcomes)


async def notify(job: Job, settings: Settings) -> None:
    """Post the notice of one hand-off. Raises httpx.HTTPError if it was not accepted, so that the job is retried.

    Raises DeveloperError if LAYERCODE_HANDOFF_URL is not set. A worker without this URL first leaves the job to other
    workers for a day, because they may have a URL. It calls this function only after that day.
    """
    if not settings.handoff_url:
        raise DeveloperError(f"Job {job.id} needs the setting LAYERCODE_HANDOFF_URL, which is not set.")
    body = dump_json(job.payload)
    secret = next(iter(settings.secrets_for(job.agent)), "")
    headers = {"content-type": "application/json"} | ({HEADER: sign(body, secret)} if secret else {})
    async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
        (await client.post(settings.handoff_url, content=body, headers=headers)).raise_for_status()

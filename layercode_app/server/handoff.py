"""Notify LAYERCODE_HANDOFF_URL that a caller wants a person. Each notice is a job; see `journal/task_jobs.py`."""

from __future__ import annotations

import httpx

from ..exceptions import DeveloperError
from ..journal.stores.base import Job
from ..settings import Settings
from ..webhook import HEADER, sign
from ..wellformed import dump_json

TIMEOUT_SECONDS = 10.0


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

"""Dispatch a job to its handler: the watch, the hand-off webhook or an agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..agent.voice_agent import VoiceAgent
from ..conversation.sessions import SESSION_END
from ..conversation.stores.base import Job
from ..conversation.tasks import TASK
from ..conversation.turn import HANDOFF
from ..exceptions import DeveloperError
from ..webhook import SessionEnd
from .handoff import notify

if TYPE_CHECKING:
    from .app import LayerCode


async def run_owed(app: LayerCode, job: Job) -> float | None:
    """Run a job; return when it is due again (epoch seconds), or None when it is done. May raise any exception."""
    if app.watch.does(job):
        return await app.watch.run(job)
    if job.name == HANDOFF:
        await notify(job, app.settings)
        return None
    voice = app.agents.get(job.agent)
    if voice is None:
        raise DeveloperError(f"Job {job.id} waits for agent {job.agent!r}, which is not loaded.")
    if job.name == SESSION_END:
        await voice.end_session(SessionEnd.model_validate(job.payload))
    elif job.name == TASK:
        await _run_task(voice, job)
    return None


async def _run_task(voice: VoiceAgent[Any, Any], job: Job) -> None:
    task = voice.tasks.get(job.payload["task"])
    if task is None:
        raise DeveloperError(f"Agent {voice.name!r} has no task {job.payload['task']!r}; it had when this was owed.")
    await task(**job.payload["arguments"])

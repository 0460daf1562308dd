"""Dispatch a job to its handler: the watch (alerts and retention), the hand-off webhook or an agent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from ..agent.job_usage import Count
from ..agent.live_judges import JUDGE_CALL, enqueue_judging, judge_call
from ..agent.runner import AgentRunner
from ..agent.summarise import summarise
from ..agent.take_notes import take_notes
from ..conversation.caller_notes import write_notes_of_job
from ..conversation.session_events import CORRECT, SESSION_END
from ..exceptions import DeveloperError
from ..jobs.put_back import PutBack
from ..jobs.tasks import typed_arguments
from ..journal.forget import NOTES, NOTES_OF_CALL
from ..journal.stores.base import Job, Store
from ..journal.stores.history_steps import SUMMARY
from ..journal.task_jobs import HANDOFF, HANDOFF_TASK, TASK, handoff_job
from ..settings import Settings
from ..watch.alerts import ALERTS
from ..watch.watch import Watch
from ..webhook import SessionEnd
from .handoff import notify

Run = Callable[[AgentRunner, Job], Awaitable[None]]
"""Runs a job of an agent. May raise any exception."""


@dataclass
class JobDispatch:
    """Runs jobs. Each job uses the watch, settings and agents that the server has when the job runs.

    So `watch`, `settings` and `runners` are functions. `runners` returns the agents' runners by name. `correct` returns
    a function, which corrects turns that were still running when their session ended. `count` counts the usage of jobs.
    """

    watch: Callable[[], Watch]
    settings: Callable[[], Settings]
    runners: Callable[[], Mapping[str, AgentRunner]]
    correct: Callable[[], Callable[[Job], Awaitable[float | None]]]
    store: Store
    count: Count
    put_back: PutBack = field(default_factory=PutBack, init=False)

    def __post_init__(self) -> None:
        self._kinds: dict[str, Run] = {SESSION_END: self._end_session, TASK: self._run_task, HANDOFF: self._notify}
        """The jobs that belong to an agent, by their names."""
        self._own_tasks: dict[str, Run] = {
            JUDGE_CALL: self._judge,
            NOTES_OF_CALL: self._take_notes,
            SUMMARY: self._sum_up,
            NOTES: self._write_notes,
            HANDOFF_TASK: self._enqueue_handoff,
        }
        """The tasks that every agent has, by their names."""

    def retry_elsewhere(self, job: Job) -> float | None:
        """Return the time at which other workers can take the job, if this worker lacks something that the job needs.

        A job may need an agent, a task of the agent, the alert rules of its service, LAYERCODE_HANDOFF_URL, or a newer
        release. Return None if this worker lacks nothing. Return None also if this worker first put the job back a day
        ago or earlier: the job then runs here, and fails. But a job that checks the alert rules of another service is
        put back every time.
        """
        if self.watch().does(job):
            return self._leave_to_service(job) if self.watch().is_of_another_service(job) else None
        if job.name == CORRECT:
            return None
        if job.name not in self._kinds:
            return self.put_back.until(job, f"a release that knows jobs of the kind {job.name!r}")
        runner = self.runners().get(job.agent)
        if runner is None:
            return self.put_back.until(job, f"the agent {job.agent!r}")
        if job.name == HANDOFF and not self.settings().handoff_url:
            return self.put_back.until(job, "the setting LAYERCODE_HANDOFF_URL")
        task = str(job.payload.get("task", "")) if job.name == TASK else ""
        if task and task not in self._own_tasks and task not in runner.voice.tasks:
            return self.put_back.until(job, f"the task {task!r} of the agent {job.agent!r}")
        return None

    def _leave_to_service(self, job: Job) -> float | None:
        if job.name == ALERTS:
            return self.put_back.chore(job)
        return self.put_back.until(job, f"the service {job.payload['service']!r}")

    async def __call__(self, job: Job) -> float | None:
        """Run a job. Return the time at which it is due again (epoch seconds), or None if it is done.

        May raise any exception.
        """
        if self.watch().does(job):
            return await self.watch().run(job)
        if job.name == CORRECT:
            return await self.correct()(job)
        runner = self.runners().get(job.agent)
        if runner is None:
            raise DeveloperError(f"Job {job.id} needs the agent {job.agent!r}, which is not loaded.")
        if (run := self._kinds.get(job.name)) is None:
            raise DeveloperError(f"Job {job.id} is of the kind {job.name!r}, which this release does not know.")
        await run(runner, job)
        return None

    # --- the jobs of an agent

    async def _end_session(self, runner: AgentRunner, job: Job) -> None:
        end = SessionEnd.model_validate(job.payload)
        await enqueue_judging(runner.voice, self.store, end)
        await runner.end_session(end)

    async def _notify(self, runner: AgentRunner, job: Job) -> None:
        await notify(job, self.settings())

    async def _run_task(self, runner: AgentRunner, job: Job) -> None:
        name = job.payload["task"]
        if (run := self._own_tasks.get(name)) is not None:
            await run(runner, job)
            return
        task = runner.voice.tasks.get(name)
        if task is None:
            raise DeveloperError(
                f"Agent {job.agent!r} has no task {name!r} any more; it had this task when the job was enqueued."
            )
        await task(**typed_arguments(task, job.payload["arguments"]))

    # --- the tasks that every agent has

    async def _judge(self, runner: AgentRunner, job: Job) -> None:
        await judge_call(runner.voice, self.store, job, day_limit=self.settings().judge_max_cost)

    async def _take_notes(self, runner: AgentRunner, job: Job) -> None:
        await take_notes(runner.voice, self.store, job, count=self.count)

    async def _sum_up(self, runner: AgentRunner, job: Job) -> None:
        await summarise(runner.voice, self.store, job.conversation_id, job.payload["arguments"], count=self.count)

    async def _write_notes(self, runner: AgentRunner, job: Job) -> None:
        await write_notes_of_job(self.store, job, **job.payload["arguments"])

    async def _enqueue_handoff(self, runner: AgentRunner, job: Job) -> None:
        """Enqueue the hand-off that `job` describes, as a new job of the kind HANDOFF.

        `job` itself is a task of the agent: workers of an earlier release enqueue each hand-off as a task.
        """
        await self.store.enqueue(handoff_job(job.agent, **job.payload["arguments"]))

"""Run the model of a turn's job, such as the job that writes a summary, and count the model's tokens and cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from loguru import logger

from ..exceptions import StoreError
from ..journal.cost import price_of
from ..journal.model_usage import add_usage
from ..journal.record import SUMMARY_STAGE, Kind, ModelCall, TurnRecord
from ..journal.stores.base import Store

if TYPE_CHECKING:
    from pydantic_ai import Agent
    from pydantic_ai.messages import ModelResponse

OutputT = TypeVar("OutputT")
Count: TypeAlias = "Callable[[TurnRecord], None]"
"""Adds the usage of a job to the totals and the metrics. Its argument is a record with only this usage.

The usage of the turn itself was added when the turn ended.
"""


@dataclass(frozen=True)
class JobUsage:
    """Runs the model of a job. The model's usage is added to the record of the turn `key`, and passed to `count`.

    While `work` is in the record's list `outlasting`, later turns know that the usage in the record may still grow.
    """

    store: Store
    count: Count
    agent: str
    """The name of the agent whose job it is."""
    key: tuple[str, str]
    work: str
    """The name of the job in `TurnRecord.outlasting`."""

    async def announce(self) -> None:
        """Note in the turn's record that this job may still add usage.

        Call this only if the turn did not enqueue the job itself. A turn that enqueues it makes this note itself.
        """
        await self.store.update(*self.key, partial(_announce, work=self.work))

    async def run(self, writer: Agent[None, OutputT], prompt: str) -> OutputT:
        """Run an agent and return its output. The usage is counted even if the run fails."""
        from pydantic_ai import capture_run_messages

        with capture_run_messages() as messages:
            try:
                return (await writer.run(prompt)).output
            finally:
                # Answers that were not usable cost money too.
                await self._add([message for message in messages if message.kind == "response"])

    async def _add(self, responses: Sequence[ModelResponse]) -> None:
        """Add the usage of these responses to the turn's record, and to the totals of the turn's day and agent.

        So reports get the same sums from the records as from the totals.
        """
        # Use the kind of a data event, because the job has usage, but is not a turn.
        spent = TurnRecord(*self.key, Kind.DATA, self.agent, started_at=time.time())
        _add_to(spent, responses=responses)
        try:
            turn = await self.store.update(*self.key, partial(_settle, responses=responses, work=self.work))
        except StoreError as error:
            # A retry of the job would pay the model again.
            logger.warning("The cost of a summary or of notes was not stored with its turn: {}", error)
            turn = None
        if turn is not None:
            spent.agent, spent.started_at = turn.agent, turn.started_at
        if responses:
            self.count(spent)


def _announce(record: TurnRecord, work: str) -> None:
    if work not in record.outlasting:
        record.outlasting.append(work)


def _settle(record: TurnRecord, responses: Sequence[ModelResponse], work: str) -> None:
    """Add the usage of a job to the record of its turn. Remove the job from `outlasting`: it adds no more usage."""
    _add_to(record, responses)
    record.outlasting = [name for name in record.outlasting if name != work]


def _add_to(record: TurnRecord, responses: Sequence[ModelResponse]) -> None:
    """Add the usage and cost of these responses to a record."""
    at = record.timings.get("total", 0.0)
    for response in responses:
        usage, price = response.usage, price_of(response)
        counted = {"requests": 1, "input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
        counted["unpriced_requests"] = int(price is None)
        name = response.model_name or ""
        record.requests.append(ModelCall(name, at, None, at, "done", SUMMARY_STAGE, counted, price))
        add_usage(record, counted, price)

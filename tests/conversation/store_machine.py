"""The base of the stateful property tests. Each test runs one conversation on one store.

Each Hypothesis example has a new event loop. At random steps, the worker restarts: a new worker continues the
conversation.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from abc import abstractmethod
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from loguru import logger

from layercode_app.conversation.admission import TurnHandler
from layercode_app.journal.stores import create_store
from layercode_app.journal.stores.base import Store

from ..journals import journal_url
from ..thoroughness import times
from .world import CONVERSATION


class StoreMachine(RuleBasedStateMachine):
    """One conversation. A subclass says how a worker handles its turns."""

    url = "memory"

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.store: Store = create_store(self.url)
        self.run(self.store.open())
        self.handler = self.new_handler()

    @abstractmethod
    def new_handler(self) -> TurnHandler:
        """Return the handler of a new worker."""

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, 100))

    async def forget(self) -> None:
        """Leave the store empty for the next example."""
        await self.store.forget(CONVERSATION)

    def teardown(self) -> None:
        async def close() -> None:
            await self.handler.drain()
            await self.forget()
            await self.store.close()

        try:
            self.run(close())
        finally:
            self.loop.close()

    @rule()
    def a_restart(self) -> None:
        self.run(self.handler.drain())
        if self.url != "memory":
            self.run(self.store.close())
            self.store = create_store(self.url)
            self.run(self.store.open())
        self.handler = self.new_handler()


def try_at_random(
    machine: type[StoreMachine], kind: str, request: pytest.FixtureRequest, *, examples: int, steps: int
) -> None:
    """Run a machine on a store of this kind, with this number of examples and of steps in each example.

    `make test` runs only an eighth of the examples. The variable PROPERTY_EXAMPLES overrides the number of examples.
    """
    logger.disable("layercode_app")
    request.addfinalizer(lambda: logger.enable("layercode_app"))
    with tempfile.TemporaryDirectory() as folder:
        run_state_machine_as_test(
            type("Machine", (machine,), {"url": journal_url(kind, request, Path(folder))}),
            settings=settings(
                max_examples=int(os.environ.get("PROPERTY_EXAMPLES", times(examples))),
                stateful_step_count=steps,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=(Phase.explicit, Phase.generate),
            ),
        )

"""For the dev page: guess what the caller of a reviewed call wanted, and write a scenario from the call.

The same code does this for `sessions review`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from ..emulator.playground.source import GoalRequest, ReviewScenarioRequest
from ..journal.read import turns_of
from ..journal.record import Json
from ..journal.stores.base import Store
from ..replay.review_scenario import guessed_goal, save_review_scenario
from .forks import check_model


async def goal_for_page(store: Store, asked: GoalRequest) -> Json:
    """Let a model guess what the caller wanted.

    Raises DeveloperError if the call is not in the journal or the model cannot be used. Raises CallerError if the model
    does not answer.
    """
    turns = await turns_of(store, asked.conversation_id, bodies=True)
    check_model(asked.model)
    return {"goal": await guessed_goal(turns, asked.model, "The model")}


async def scenario_for_page(store: Store, project: Path, asked: ReviewScenarioRequest) -> Json:
    """Write a scenario from a call into the project; return its path and the personal details that were replaced.

    Raises DeveloperError if the call is not in the journal, if no scenario can be made from the call, or if the file
    cannot be written.
    """
    turns = await turns_of(store, asked.conversation_id, bodies=True)
    written = await asyncio.to_thread(save_review_scenario, turns, goal=asked.goal, project=project)
    return {"path": written.path.as_posix(), "replaced": list(written.replaced)}

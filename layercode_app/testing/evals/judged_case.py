"""Describe a call for judges, including the caller's goal."""

from __future__ import annotations

from ...judging.case import instructions_of, written_case
from .scenario import Scenario
from .simulated.grade import Call


def case_of(scenario: Scenario, call: Call, transcript: str) -> str:
    """Return the text that a judge reads about a call."""
    goal = scenario.caller.goal if scenario.caller else ""
    outcomes = [outcome["name"] for record in call.records for outcome in record.outcomes]
    instructions = instructions_of(record.messages for record in call.records)
    return written_case(instructions, transcript, outcomes, {**call.state, **call.handed}, goal=goal)

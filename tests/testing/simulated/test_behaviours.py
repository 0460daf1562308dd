"""Behaviours depend on the seed: the same seed gives the same behaviours in each turn, whatever the agent answers."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from layercode_app.testing.evals.run_scenarios import Played, evaluate
from layercode_app.testing.evals.scenario import ScenarioFile
from layercode_app.testing.evals.simulated.behaviour import Plan, deliver, plan, random_of
from layercode_app.testing.evals.simulated.caller_spec import Behaviour
from layercode_app.testing.evals.simulated.disfluency import halves, hesitate
from layercode_app.testing.evals.simulated.mishearing import mishear

from ...processes import ROOT

AGENTS = ROOT / "agents"
LIVELY = {"interrupts": 0.3, "backchannels": 0.3, "hesitates": 0.5, "misheard": 0.3, "silent": 0.2, "splits": 0.2}
LINES = ["Hello there", "I want two croissants, please", "and a coffee", "no, wait for the bread", "That is all"]


def lively(agent: str) -> ScenarioFile:
    caller = {"script": [{"say": line} for line in LINES], "behaviour": LIVELY, "max_turns": 40}
    return ScenarioFile.model_validate({"agent": agent, "scenarios": [{"name": "lively", "caller": caller}]})


async def calls(agent: str, seed: int) -> list[Played]:
    return await evaluate(lively(agent), agents=AGENTS, seed=seed, repeat=3)


@pytest.mark.anyio
async def test_the_same_seed_gives_the_same_behaviours_turn_by_turn_with_any_agent() -> None:
    first, again, other_agent = await calls("echo", 7), await calls("echo", 7), await calls("bakery", 7)
    assert [one.behaviours for one in first] == [one.behaviours for one in again]
    assert [one.behaviours for one in first] == [one.behaviours for one in other_agent]
    assert [one.behaviours for one in first] != [one.behaviours for one in await calls("echo", 8)]
    assert first[0].behaviours != first[1].behaviours
    done = {name.split()[0] for one in first for turn in one.behaviours for name in turn["behaviours"]}
    assert done == {"interrupts", "says", "hesitates", "misheard", "silent", "splits"}
    assert sum(one.interruptions for one in first) > 0


@pytest.mark.anyio
async def test_sounds_silence_and_halves_are_no_messages() -> None:
    behaviour = {"backchannels": 1, "silent": 1, "splits": 1}
    caller = {"script": [{"say": line} for line in LINES], "behaviour": behaviour, "max_turns": 40}
    scenario = {"name": "s", "caller": caller, "end": {"within_turns": 4}}
    [one] = await evaluate(ScenarioFile.model_validate({"agent": "echo", "scenarios": [scenario]}), agents=AGENTS)
    assert (one.turns, one.transcript.count("caller:") > 12) == (5, True)
    [failure] = one.failures
    assert failure.startswith("the caller needed 5 messages, expected at most 4; turn ")
    assert failure.endswith("('is all') was one too many")


def plans(**shares: float) -> list[Plan]:
    return [plan(Behaviour(**shares), random_of(1, "s", run, 1)) for run in range(2_000)]


@pytest.mark.parametrize("name", ["hesitates", "misheard", "silent", "splits", "interrupts"])
def test_a_share_is_the_share_of_turns_and_shifts_no_other(name: str) -> None:
    found = [getattr(one, name) for one in plans(**{name: 0.3})]
    assert 0.26 < sum(found) / len(found) < 0.34
    everything = plans(**dict.fromkeys(LIVELY, 1.0) | {name: 0.3})
    assert [getattr(one, name) for one in everything] == found
    assert not any(getattr(one, name) for one in plans())


def test_a_caller_does_not_make_a_sound_while_breaking_in() -> None:
    assert all(one.sound is None for one in plans(interrupts=1, backchannels=1))
    assert all(one.sound and one.cut for one in plans(backchannels=1))
    assert all(one.cut is None for one in plans(silent=1))


def variants(change: Any, line: str) -> set[str]:
    return {change(line, Random(seed)) for seed in range(200)}


def test_hesitations_keep_every_word_in_its_order() -> None:
    said = variants(hesitate, "two croissants please")
    assert {"two um croissants please", "two, two croissants please", "four, I mean two croissants please"} <= said
    for line in said:
        rest = iter(line.replace(",", "").split())
        assert all(word in rest for word in ["two", "croissants", "please"])
    assert hesitate("", Random(1)) == ""


def test_recognition_mishears_a_homophone_or_loses_a_small_word() -> None:
    assert variants(mishear, "Two coffees for the table") == {
        "to coffees for the table",
        "Two coffees four the table",
        "Two coffees for table",
    }
    assert variants(mishear, "please") == {"please"}
    assert variants(mishear, "Croissants!") == {"Croissants!"}


def test_a_sentence_is_split_at_the_pause_nearest_to_its_middle() -> None:
    assert halves("I want two croissants, and a coffee please") == ["I want two croissants,", "and a coffee please"]
    assert halves("two big croissants") == ["two big", "croissants"]
    assert halves("Hello") == ["Hello"]


def test_a_line_without_behaviours_is_delivered_as_it_is() -> None:
    quiet = plan(Behaviour(), Random(1))
    assert deliver("Two croissants", quiet, Random(1)).parts == ["Two croissants"]
    assert deliver("Two croissants", quiet, Random(1)).done == []

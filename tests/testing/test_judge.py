"""The judge of evaluations asks a real model over HTTP, and a failed check in code overrides its verdict."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from layercode_app.agent.live_judges import named_judge
from layercode_app.cli.main import app as command
from layercode_app.exceptions import ConfigurationError
from layercode_app.judging.judge import model_judge
from layercode_app.testing.evals.run_scenarios import evaluate
from layercode_app.testing.evals.scenario import ScenarioFile

from ..model_server import ModelServer
from ..serving import serve

pytestmark = pytest.mark.anyio


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ModelServer]:
    judging = ModelServer()
    async with serve(judging.app) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "test-key")
        yield judging


def scenario(**expect: Any) -> ScenarioFile:
    turn = {"say": "one", "expect": expect, "judge": "Does it repeat what was said?"}
    return ScenarioFile.model_validate({"agent": "echo", "scenarios": [{"name": "s", "turns": [turn]}]})


def says(answer: str, reason: str) -> Any:
    return lambda messages: json.dumps({"answer": answer, "reason": reason})


@pytest.mark.parametrize(
    ("model", "answer", "passes"),
    [
        ("openai-chat:gpt-test", "yes", True),
        ("openai-chat:gpt-test", "maybe", True),
        ("openai-chat:gpt-test", "no", False),
        ("openai:gpt-test", "no", False),
    ],
)
async def test_a_model_answers_with_its_reason(server: ModelServer, model: str, answer: str, passes: bool) -> None:
    server.reply = says(answer, "I heard the word one.")
    [played] = await evaluate(scenario(contains=["one"]), judge=model_judge(model))
    [verdict] = played.verdicts
    assert (verdict["answer"], verdict["reason"]) == (answer, "I heard the word one.")
    assert played.passed is passes
    assert played.reasons == (
        [] if passes else ["the judge says no to 'Does it repeat what was said?': I heard the word one."]
    )
    asked = json.dumps(server.requests[0])
    assert "caller: one" in asked
    assert "You said: one" in asked
    assert "Question: Does it repeat what was said?" in asked


async def test_a_failed_check_beats_a_model_that_says_yes(server: ModelServer) -> None:
    server.reply = says("yes", "Lovely.")
    [played] = await evaluate(scenario(contains=["two"]), judge=model_judge("openai-chat:gpt-test"))
    assert played.verdicts[0]["answer"] == "yes"
    assert not played.passed
    assert played.reasons == ["turn 1: expected to hear 'two', heard 'You said: one'"]


async def test_a_judge_that_does_not_answer_fails_the_scenario(server: ModelServer) -> None:
    server.status = 400
    [played] = await evaluate(scenario(), judge=model_judge("openai-chat:gpt-test"))
    assert not played.passed
    assert played.reasons[0].startswith("the judge did not answer: ")


def test_a_judge_that_there_is_not_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--judge banana"):
        named_judge("banana")
    path = tmp_path / "s.yaml"
    path.write_text(json.dumps(scenario().model_dump(exclude_defaults=True)))
    result = CliRunner().invoke(command, ["eval", str(path), "--judge", "banana"])
    assert isinstance(result.exception, ConfigurationError)

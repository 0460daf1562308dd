"""The judges of the package see the whole call with its tool results, and never override a failed check.

Their answers are compared with those of people.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from layercode_app.cli.main import app as command
from layercode_app.exceptions import ConfigurationError, JudgeError
from layercode_app.judging.agreement import Label, agreement, answered, read_labels
from layercode_app.judging.judge import Verdict, model_judge
from layercode_app.judging.kappa import cohens_kappa
from layercode_app.judging.spending import Spent, counting
from layercode_app.judging.stock import questions, stock
from layercode_app.testing.evals.run_scenarios import Played, evaluate
from layercode_app.testing.evals.scenario import ScenarioFile

from ...model_server import ModelServer
from ...processes import ROOT
from ...serving import serve

AGENTS = ROOT / "agents"
NAMES = ["brief", "grounded", "handoff_right", "polite", "recovered", "safe", "task_completed", "tools_right"]
OWN = "Was the caller told the total before the order was placed?"


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ModelServer]:
    judging = ModelServer(reply=lambda messages: json.dumps({"answer": "yes", "reason": "So it was."}))
    async with serve(judging.app) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "test-key")
        yield judging


def order(**end: Any) -> ScenarioFile:
    script = [{"say": "Two croissants"}, {"say": "That's all"}]
    caller = {"goal": "order breakfast", "script": script, "behaviour": {"interrupts": 1}}
    return ScenarioFile.model_validate({"agent": "bakery", "scenarios": [{"name": "s", "caller": caller, "end": end}]})


async def judged(file: ScenarioFile, **options: Any) -> Played:
    [played] = await evaluate(file, agents=AGENTS, judge=model_judge("openai-chat:gpt-test"), **options)
    return played


@pytest.mark.anyio
async def test_every_stock_judge_sees_the_whole_call(server: ModelServer) -> None:
    played = await judged(order(judge=["all", OWN]))
    assert played.reasons == []
    assert [verdict["question"] for verdict in played.verdicts] == [*NAMES, OWN]
    for request, question in zip(server.requests, [*stock().values(), OWN], strict=True):
        case = str(request["messages"][-1]["content"])
        assert "The caller's goal: order breakfast" in case
        assert "You answer the phone at Sunrise Bakery" in case
        assert "add_item(item='croissant', quantity=2) -> 'The basket comes to 4 euros 80.' (done)" in case
        assert "(interrupted; heard: " in case
        assert "At the end: outcomes ['ordered']; state {'items': {}, 'booking': None}" in case
        assert case.endswith(
            f"Question: This question is about the whole call, from the greeting to the end.\n\n{question}"
        )


@pytest.mark.anyio
async def test_a_no_fails_with_its_reason_and_what_was_done_overrides_a_yes(server: ModelServer) -> None:
    assert (await judged(order(outcomes=["booked"]), judges=["polite"])).reasons[:1] == [
        "the outcome 'booked' never happened; the outcomes were: ordered"
    ]
    server.reply = lambda messages: json.dumps({"answer": "no", "reason": "It said huh."})
    played = await judged(order(), judges=["polite"])
    assert played.reasons == ["the judge says no to 'polite': It said huh."]
    server.status = 400
    assert (await judged(order(), judges=["polite"])).errors[0].startswith("the judge did not answer")


def test_judges_are_found_by_name_and_each_has_a_question() -> None:
    assert list(stock()) == NAMES
    assert all(question.splitlines()[0].endswith("?") for question in stock().values())
    assert questions(["polite", OWN, "polite"]) == {"polite": stock()["polite"], OWN: OWN}
    with pytest.raises(ConfigurationError, match="Did you mean 'grounded'"):
        questions(["gronded"])


def test_kappa_has_the_values_computed_by_hand() -> None:
    # 50 pairs: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no. Agreement 0.7, by chance 0.5*0.6 + 0.5*0.4 = 0.5.
    pairs = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    assert cohens_kappa(pairs) == pytest.approx(0.4)
    assert cohens_kappa([("yes", "yes"), ("no", "no"), ("maybe", "maybe")]) == 1
    assert cohens_kappa([("yes", "no"), ("no", "yes")]) == -1
    assert cohens_kappa([("yes", "yes")] * 3) is None


def labels(path: Path, *lines: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.mark.anyio
async def test_judges_are_asked_where_the_labels_have_no_answer(tmp_path: Path) -> None:
    path = labels(
        tmp_path / "labels.jsonl",
        {"judge": "polite", "transcript": "agent: Hello.", "label": "yes"},
        {"judge": "polite", "transcript": "agent: What?", "label": "no", "answer": "no"},
        {"judge": OWN, "transcript": "agent: Done.", "label": "no"},
    )
    asked = []

    async def judge(question: str, transcript: str) -> Verdict:
        asked.append((question.splitlines()[2], transcript))
        return Verdict(answer="yes", reason="")

    found = agreement(await answered(read_labels(path), judge, 2))
    assert asked == [(stock()["polite"].splitlines()[0], "agent: Hello."), (OWN, "agent: Done.")]
    assert found == [
        {"judge": "polite", "labels": 2, "agreement": 1.0, "kappa": 1.0},
        {"judge": OWN, "labels": 1, "agreement": 0.0, "kappa": 0.0},
    ]
    with pytest.raises(ConfigurationError, match="--judge"):
        await answered([Label(judge="polite", label="yes")], None, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n", "labels.jsonl: the file has no labels; expected"),
        ('{"judge": "all", "label": "yes"}', "'all' names all judges; expected the name of one judge"),
    ],
)
def test_labels_that_measure_nothing_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        read_labels(path)


def test_a_line_separator_in_a_label_is_text(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text('{"judge": "safe", "label": "yes", "transcript": "one\u2028two"}\n', encoding="utf-8")
    assert [label.transcript for label in read_labels(path)] == ["one\u2028two"]


@pytest.mark.anyio
async def test_a_judge_without_a_verdict_is_left_in_time_and_paid_for(server: ModelServer) -> None:
    server.reply = lambda messages: '{"answer": "perhaps"}'
    spent = Spent()
    with counting(spent), pytest.raises(JudgeError, match="the judge did not answer: "):
        await model_judge("openai-chat:gpt-test")("Is it polite?", "agent: Hello.")
    assert spent.unpriced == len(server.requests) > 0
    server.hang = "headers"
    with pytest.raises(JudgeError, match=r"did not answer within 0\.2 s"):
        await model_judge("openai-chat:gpt-test", seconds=0.2)("Is it polite?", "agent: Hello.")


def test_the_command_prints_agreement_and_kappa(tmp_path: Path) -> None:
    answers = [("yes", "yes"), ("yes", "yes"), ("no", "no"), ("no", "yes")]
    told = [{"judge": "safe", "label": label, "answer": answer} for label, answer in answers]
    path = labels(tmp_path / "labels.jsonl", *told)
    runner = CliRunner()
    assert "safe   4       75%        0.50" in runner.invoke(command, ["eval", "judge-check", str(path)]).stdout
    as_json = runner.invoke(command, ["eval", "judge-check", str(path), "--json"]).stdout
    assert json.loads(as_json)["judges"] == [{"judge": "safe", "labels": 4, "agreement": 0.75, "kappa": 0.5}]
    assert runner.invoke(command, ["eval", "judge-check"]).exit_code == 2
    assert runner.invoke(command, ["eval", str(path), "--judges", "all"]).exit_code == 2
    path.write_text('{"judge": "safe", "label": "perhaps"}\n')
    result = runner.invoke(command, ["eval", "judge-check", str(path)])
    assert "labels.jsonl:1: label: Input should be 'yes', 'no' or 'maybe'" in str(result.exception)

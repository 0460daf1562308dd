"""`sessions review` lists the calls that are worth a look, stores a verdict, and makes a scenario of a bad call."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from layercode_app.cli.main import app as command
from layercode_app.exceptions import ConfigurationError
from layercode_app.journal.read import is_running
from layercode_app.journal.record import Kind, Speech, Status, TurnRecord
from layercode_app.journal.stores import create_store
from layercode_app.testing import open_call

from ..model_server import ModelServer
from ..serving import serve
from ..terminal import terminal

AGENT = """
from pydantic_ai import Agent
from layercode_app import VoiceAgent

orders = Agent("openai-chat:gpt-test", instructions="Take orders.{more}")
agent = VoiceAgent("orders", orders, filler=False, judges=["polite", "Was the total told?"], judge_sample=1)
"""


def reply(messages: list[dict[str, Any]]) -> str:
    """Answer for three models: the agent, the judge, and the model that writes what the caller wanted.

    The agent says the total only if its instructions mention the total. The judge answers "no" to "Was the total told?"
    if the transcript does not contain the total.
    """
    system, last = str(messages[0]["content"]), str(messages[-1]["content"])
    if "You judge" in system:
        told = "Was the total told" not in last or "4 euros 80" in last
        return json.dumps({"answer": "yes" if told else "no", "reason": "So it was."})
    if "what the caller wanted" in system:
        return "order two croissants for ann@example.com"
    return "That is 4 euros 80. It is ordered." if "total" in system else "It is ordered."


@pytest.fixture
async def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    """A folder with one agent, and its model on a local server."""
    (tmp_path / "agents").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAYERCODE_STORE", f"sqlite:///{tmp_path}/journal.db")
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    async with serve(ModelServer(reply=reply).app) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
        write(tmp_path)
        yield tmp_path


def write(project: Path, more: str = "") -> None:
    (project / "agents" / "orders.py").write_text(AGENT.format(more=more))


async def run(*args: str) -> Any:
    return await asyncio.to_thread(CliRunner().invoke, command, list(args))


async def call_live(project: Path) -> None:
    """Make a call from start to end, and wait until it has been judged."""
    settings = {"store": f"sqlite:///{project}/journal.db"}
    async with open_call("orders", agents=project / "agents", settings=settings, conversation_id="live") as call:
        await call.say("Two croissants for ann@example.com, please.")
        await call.end()
        while any(job.name in ("task", "session_end") for job in await call.app.store.pending_jobs()):
            await asyncio.sleep(0.01)


@pytest.mark.anyio
async def test_from_a_live_call_to_a_scenario_that_fails_until_the_agent_is_mended(project: Path) -> None:
    await call_live(project)
    [queued] = json.loads((await run("sessions", "review", "--json")).output)
    assert queued["conversation_id"] == "live"
    assert queued["reasons"][0] == "judged no: Was the total told?"

    options = ("--bad", "--note", "no total", "--scenario", "evals/total.yaml", "--goal-model", "openai-chat:gpt-test")
    done = await run("sessions", "review", "live", *options)
    assert done.exit_code == 0, done.output
    written = (project / "evals" / "total.yaml").read_text()
    assert "Was the total told?" in written
    assert "order two croissants for" in written
    assert "ann@example.com" not in written
    assert json.loads((await run("sessions", "review", "--json")).output) == []
    assert "review False" in (await run("sessions", "show", "live")).output

    play = ("eval", "evals/total.yaml", "--judge", "openai-chat:gpt-test")
    failed = await run(*play)
    assert failed.exit_code == 1
    assert "Was the total told?" in failed.output
    write(project, " Tell the total first.")
    mended = await run(*play)
    assert mended.exit_code == 0, mended.output


@pytest.mark.anyio
async def test_a_report_says_how_well_judges_agree_with_people(project: Path) -> None:
    await call_live(project)
    await run("sessions", "review", "live", "--bad")
    found = json.loads((await run("report", "--json")).output)
    assert found["agreement"] == [
        {"judge": "Was the total told?", "reviews": 1, "agreement": 1.0, "kappa": None},
        {"judge": "polite", "reviews": 1, "agreement": 0.0, "kappa": 0.0},
    ]
    assert re.search(r"polite +0% +0\.00 +1", (await run("report")).output)


def turn(call: str, number: int, **values: Any) -> TurnRecord:
    fields: dict[str, Any] = {"status": Status.COMPLETE, "timings": {"ttfs": 300.0}, "spoken": "Fine.", **values}
    made = TurnRecord(call, f"{call}-{number}", Kind.MESSAGE, "shop", user_text="Hello", started_at=1000.0 + number)
    source, spoken = fields.pop("source", "model"), fields.pop("spoken")
    made.speech = [Speech(source, 0, spoken)] if spoken else []
    for name, value in fields.items():
        setattr(made, name, value)
    return made


async def record(journal: str, *turns: TurnRecord) -> None:
    store = create_store(journal)
    await store.open()
    for one in turns:
        await store.begin(one, history_tokens=0)
        await store.save(one)
    await store.close()


@pytest.mark.anyio
async def test_a_call_is_reviewed_and_forgotten_when_it_has_ended_or_its_worker_is_dead(tmp_path: Path) -> None:
    journal = f"sqlite:///{tmp_path}/journal.db"
    store = create_store(journal)
    await store.open()
    stuck = turn("live", 0, status=Status.RUNNING)
    await store.begin(stuck, history_tokens=0)
    event = turn("live", 1, status=Status.RUNNING, started_at=time.time(), kind=Kind.SESSION)
    await store.begin(event, history_tokens=0)
    assert not await is_running(store, stuck), "its end could not be saved"
    assert not await is_running(store, event), "its hook has failed"
    await store.begin(turn("live", 2, status=Status.RUNNING, started_at=time.time()), history_tokens=0)
    review = ("sessions", "review", "live", "--good", "--store", journal)
    refused = await run(*review)
    assert isinstance(refused.exception, ConfigurationError)
    assert "'live' is still running. Review the call when it has ended." in str(refused.exception)
    kept = await run("sessions", "forget", "live", "--yes", "--store", journal)
    assert "is still running. Forget the call when it has ended." in str(kept.exception)
    await store.close()
    assert (await run(*review)).output == "live: good\n"
    assert (await run("sessions", "forget", "live", "--yes", "--store", journal)).exit_code == 0


QUEUE = [
    turn("judged", 1, scores={"safe": {"value": False, "judge": "m"}, "polite": {"value": "maybe", "judge": "m"}}),
    turn("failed", 1, status=Status.FAILED, source="apology"),
    turn("disliked", 1, scores={"feedback": {"value": False}}),
    turn("refused", 1, source="apology"),
    turn("silent", 1, spoken=""),
    *(turn("cut", number, status=Status.INTERRUPTED) for number in range(3)),
    *(turn("cut twice", number, status=Status.INTERRUPTED) for number in range(2)),
    turn("dear", 1, cost=0.5),
    turn("slow", 1, timings={"ttfs": 4000.0}),
    turn("well", 1, timings={"ttfs": 200.0}, scores={"feedback": {"value": True}}),
]


@pytest.mark.anyio
async def test_the_queue_has_every_reason_the_gravest_first(project: Path) -> None:
    await record(f"sqlite:///{project}/journal.db", *QUEUE)
    found = json.loads((await run("sessions", "review", "--since", "1970-01-01", "--json")).output)
    reasons = {call["conversation_id"]: call["reasons"][0] for call in found}
    assert list(reasons) == ["judged", "failed", "disliked", "refused", "silent", "cut", "dear", "slow"]
    assert list(reasons.values()) == [
        "judged no: safe",
        "1 turn failed",
        "the caller was not content",
        "the agent apologised once",
        "1 silent turn",
        "interrupted 3 times",
        "among the most expensive: $0.5000",
        "among the slowest: first speech after 4.0 s",
    ]
    text = (await run("sessions", "review", "--since", "1970-01-01", "-n", "1")).output
    assert "judged no: safe" in text
    assert "failed" not in text


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("live",), "give --good or --bad, or --scenario"),
        (("live", "--scenario", "s.yaml", "--goal", "order", "--note", "rude"), "--note: needs --good or --bad"),
        (("--good",), "need the id of a conversation"),
        (("nobody", "--good"), "'nobody' is not in the journal"),
        (("live", "--scenario", "s.yaml"), "--goal 'order two croissants'"),
        (("live", "--scenario", "agents/orders.py", "--goal", "order"), "the file exists already"),
        (("--since", "soon"), "expected a duration"),
    ],
)
@pytest.mark.anyio
async def test_a_wrong_use_is_told(project: Path, args: tuple[str, ...], told: str) -> None:
    await call_live(project)
    result = await run("sessions", "review", *args)
    assert result.exit_code in (1, 2)
    assert told in " ".join((result.output + str(result.exception or "")).replace("│", "").split())


@pytest.mark.anyio
async def test_a_verdict_and_a_scenario_are_one_json_document(project: Path) -> None:
    await record(f"sqlite:///{project}/journal.db", turn("live", 1))
    verdict = {"conversation_id": "live", "turn_id": "live-1", "good": True, "note": None}
    assert json.loads((await run("sessions", "review", "live", "--good", "--json")).stdout) == verdict
    options = ("--bad", "--note", "rude", "--scenario", "s.yaml", "--goal", "order", "--json")
    done = json.loads((await run("sessions", "review", "live", *options)).stdout)
    assert done == verdict | {"good": False, "note": "rude", "file": "s.yaml", "replaced": []}
    assert Path("s.yaml").is_file()


def test_keys_take_a_verdict_a_note_and_a_scenario(tmp_path: Path) -> None:
    journal = f"sqlite:///{tmp_path}/journal.db"
    asyncio.run(
        record(journal, turn("one", 1, status=Status.FAILED), turn("two", 1, spoken=""), turn("three", 1, spoken=""))
    )
    args = ("sessions", "review", "--since", "1970-01-01", "--store", journal)
    with terminal(*args, cwd=tmp_path) as shown:
        shown.wait_for("Call 1 of 3", "1 turn failed", "Caller: Hello", "uit")
        shown.press("n")
        shown.wait_for("Note")
        shown.press("no answer\r")
        shown.wait_for("uit")
        shown.press("s")
        shown.wait_for("File to write")
        shown.press("evals/one.yaml\r")
        shown.wait_for("What did the caller want")
        shown.press("say hello\r")
        shown.wait_for("Wrote evals/one.yaml", "uit")
        shown.press("b")
        shown.wait_for("one: bad", "Call 2 of 3", "uit")
        shown.press("k")
        shown.wait_for("Call 3 of 3", "uit")
        shown.press("q")
        assert shown.wait_for_end() == 0
    assert "say hello" in (tmp_path / "evals" / "one.yaml").read_text()
    result = CliRunner().invoke(command, [*args, "--reviewed", "--json"])
    reviews = {call["conversation_id"]: call["review"] for call in json.loads(result.output)}
    assert reviews == {"one": {"value": False, "comment": "no answer"}, "two": None, "three": None}

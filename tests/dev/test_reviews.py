"""The page's review queue: the same calls, verdicts and scenarios as `sessions review`."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from layercode_app.cli.main import app as command
from layercode_app.dev.app import DevApp
from layercode_app.emulator.speech import Silence
from layercode_app.journal.record import Kind, Speech, Status, TurnRecord
from layercode_app.journal.stores.base import Store
from layercode_app.testing.evals.scenario import load

from ..model_server import ModelServer
from ..serving import serve
from .serving import dev_server
from .test_dev_app import client, talk

pytestmark = pytest.mark.anyio
NO = {"told": {"value": False, "judge": "m", "question": "Was the total told?"}}
PATH = "evals/shop_order_for_my_mail_caller1.yaml"


async def record(store: Store, call: str, text: str, **values: Any) -> None:
    """Put a finished turn into the journal."""
    turn = TurnRecord(call, f"{call}-{text}", Kind.MESSAGE, "shop", user_text=text, started_at=time.time() - 60)
    turn.status, turn.speech, turn.timings = Status.COMPLETE, [Speech("model", 0, "Fine.")], {"ttfs": 300.0}
    await store.begin(turn, history_tokens=0)
    for name, value in values.items():
        setattr(turn, name, value)
    await store.save(turn)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[DevApp, httpx.AsyncClient, str]]:
    """A development server with a judged, a failed, a silent and a good call, and the URL of its journal."""
    journal = f"sqlite:///{tmp_path}/journal.db"
    async with dev_server(tmp_path, store=journal) as app, client(app) as http:
        store = app.layercode.store
        await record(store, "silent", "are you there", speech=[])
        await record(store, "failed", "boom", status=Status.FAILED)
        await record(store, "judged", "Two cakes, my mail is ann@example.com", scores=NO)
        yield app, http, journal


async def run(*args: str) -> Any:
    return await asyncio.to_thread(CliRunner().invoke, command, list(args))


async def queue(http: httpx.AsyncClient, **query: str) -> list[Any]:
    answer = await http.get("/dev/api/reviews", params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["calls"])


async def test_the_page_and_the_terminal_have_the_same_queue_and_verdicts(
    served: tuple[DevApp, httpx.AsyncClient, str],
) -> None:
    _, http, journal = served
    found = await queue(http)
    assert [call["conversation_id"] for call in found] == ["judged", "failed", "silent"]
    assert found[1]["first_words"] == "boom"
    shown = json.loads((await run("sessions", "review", "--json", "--store", journal)).output)
    assert [call["reasons"] for call in shown] == [call["reasons"] for call in found]

    verdict = {"conversation_id": "judged", "good": False, "note": " no total "}
    for _ in range(2):  # twice is as good as once
        answer = await http.post("/dev/api/reviews", json=verdict)
        assert (answer.status_code, answer.json()["review"]) == (200, {"value": False, "comment": "no total"})
    assert [call["conversation_id"] for call in await queue(http)] == ["failed", "silent"]
    [judged, *_] = await queue(http, reviewed="true")
    assert judged["review"] == {"value": False, "comment": "no total"}
    assert len(json.loads((await run("sessions", "review", "--json", "--store", journal)).output)) == 2
    report = json.loads((await run("report", "--json", "--store", journal)).output)
    assert report["agreement"] == [{"judge": "told", "reviews": 1, "agreement": 1.0, "kappa": None}]

    # A verdict that was given in the terminal also counts on the page, where it can be withdrawn.
    await run("sessions", "review", "failed", "--good", "--store", journal)
    assert [call["conversation_id"] for call in await queue(http)] == ["silent"]
    for _ in range(2):
        answer = await http.post("/dev/api/reviews", json={"conversation_id": "failed", "good": None})
        assert (answer.status_code, answer.json()["review"]) == (200, None)
    assert [call["conversation_id"] for call in await queue(http)] == ["failed", "silent"]


async def test_a_call_becomes_the_same_scenario_as_in_the_terminal(
    served: tuple[DevApp, httpx.AsyncClient, str], tmp_path: Path
) -> None:
    _, http, journal = served
    asked = {"conversation_id": "judged", "goal": "order for my mail ann@example.com"}
    first = await http.post("/dev/api/reviews/scenario", json=asked)
    assert (first.status_code, first.json()["path"]) == (201, PATH)
    [replaced] = first.json()["replaced"]
    assert (replaced["kind"], replaced["times"]) == ("e-mail address", 2)
    written = (tmp_path / PATH).read_text()
    assert "Was the total told?" in written
    assert "ann@" not in written
    assert list((tmp_path / "evals").iterdir()) == [tmp_path / PATH]

    other = tmp_path / "terminal" / Path(PATH).name
    args = ("--scenario", str(other), "--goal", asked["goal"], "--store", journal)
    assert (await run("sessions", "review", "judged", *args)).exit_code == 0
    assert other.read_text() == written
    # Nothing is overwritten.
    again = await http.post("/dev/api/reviews/scenario", json=asked)
    assert again.json()["path"] == PATH.replace(".yaml", "_2.yaml")


@pytest.mark.parametrize("taken_over", [{"handed_to": "billing"}, {"agent": "billing", "handed_by": ["shop"]}])
async def test_the_scenario_of_a_call_that_was_handed_over_is_for_its_first_agent(
    served: tuple[DevApp, httpx.AsyncClient, str], tmp_path: Path, taken_over: dict[str, Any]
) -> None:
    app, http, _ = served
    await record(app.layercode.store, "handed", "I want to pay", **taken_over)
    await record(app.layercode.store, "handed", "five euros", agent="billing")
    answer = await http.post("/dev/api/reviews/scenario", json={"conversation_id": "handed", "goal": "pay the bill"})
    assert (answer.status_code, answer.json()["path"]) == (201, "evals/shop_pay_the_bill.yaml")
    written = load(tmp_path / answer.json()["path"])
    caller = written.scenarios[0].caller
    assert caller is not None
    assert isinstance(caller.script, list)
    assert (written.agent, [rule.say for rule in caller.script]) == ("shop", ["I want to pay", "five euros"])


async def test_a_model_guesses_the_goal(
    served: tuple[DevApp, httpx.AsyncClient, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, http, _ = served
    asked = {"conversation_id": "judged", "model": "openai-chat:gpt-test"}
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    refused = await http.post("/dev/api/reviews/goal", json=asked)
    assert (refused.status_code, "OPENAI_API_KEY" in refused.json()["error"]) == (400, True)
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    model = ModelServer(reply=lambda messages: "order two cakes")
    async with serve(model.app) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
        assert (await http.post("/dev/api/reviews/goal", json=asked)).json() == {"goal": "order two cakes"}
        assert "Two cakes" in json.dumps(model.requests[0])


async def test_a_guess_that_fails_is_told_and_one_that_takes_long_is_stopped(
    served: tuple[DevApp, httpx.AsyncClient, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, http, _ = served
    asked = {"conversation_id": "judged", "model": "openai-chat:gpt-test"}
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    async with serve(ModelServer(status=400).app) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
        answer = await http.post("/dev/api/reviews/goal", json=asked)
        assert (answer.status_code, "did not answer" in answer.json()["error"]) == (502, True)
    begun, left = asyncio.Event(), asyncio.Event()

    async def hang(scope: Any, receive: Any, send: Any) -> None:
        """A model that never answers, and notices when its client leaves."""
        if scope["type"] != "http":
            return
        begun.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        left.set()

    async with serve(hang) as url, asyncio.timeout(100):
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
        asking = asyncio.create_task(http.post("/dev/api/reviews/goal", json=asked))
        await begun.wait()
        asking.cancel()
        await left.wait()


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        ("", {"conversation_id": "nobody", "good": True}, 404, "'nobody' is not in the journal"),
        ("/scenario", {"conversation_id": "nobody", "goal": "order"}, 404, "'nobody' is not in the journal"),
        ("/goal", {"conversation_id": "nobody", "model": "a:b"}, 404, "'nobody' is not in the journal"),
        ("", {"conversation_id": "judged"}, 400, "good: Field required"),
        ("", {"conversation_id": "judged", "good": "yes"}, 400, "good: Input should be a valid boolean"),
        ("", {"conversation_id": "judged", "good": True, "x": 1}, 400, "x: Extra inputs"),
        ("/scenario", {"conversation_id": "judged", "goal": "  "}, 400, "such as: order two croissants"),
        ("/goal", {"conversation_id": "judged", "model": ""}, 400, "model: String should have at least 1"),
        ("/goal", {"conversation_id": "judged", "model": "nonsense"}, 400, "The model nonsense"),
        ("", "{", 400, "The body is not JSON"),
        ("", '{"conversation_id": "\\ud800", "good": true}', 404, "is not in the journal"),
    ],
)
async def test_a_wrong_request_is_told(
    served: tuple[DevApp, httpx.AsyncClient, str], path: str, body: Any, status: int, told: str
) -> None:
    _, http, _ = served
    content = body if isinstance(body, str) else json.dumps(body)
    headers = {"content-type": "application/json"}
    answer = await http.post(f"/dev/api/reviews{path}", content=content, headers=headers)
    assert (answer.status_code, told in answer.json()["error"]) == (status, True), answer.text
    assert len(await queue(http)) == 3


async def test_strangers_cannot_review(served: tuple[DevApp, httpx.AsyncClient, str]) -> None:
    app, http, _ = served
    verdict = {"conversation_id": "judged", "good": True}
    for path in ("", "/goal", "/scenario"):
        form = await http.post(
            f"/dev/api/reviews{path}", content=json.dumps(verdict), headers={"content-type": "text/plain"}
        )
        assert form.status_code == 415
        foreign = await http.post(f"/dev/api/reviews{path}", json=verdict, headers={"origin": "https://evil.example"})
        assert (foreign.status_code, "not a page of this machine" in foreign.json()["error"]) == (403, True)
    assert (await http.get("/dev/api/reviews", headers={"origin": "null"})).status_code == 403
    own = await http.post("/dev/api/reviews", json=verdict, headers={"origin": app.url})
    assert own.status_code == 200


async def test_a_wrong_period_and_an_unreadable_journal_are_told(
    served: tuple[DevApp, httpx.AsyncClient, str], tmp_path: Path
) -> None:
    _, http, _ = served
    assert await queue(http, since="") == await queue(http, since="30d")
    wrong = await http.get("/dev/api/reviews", params={"since": "soon"})
    assert (wrong.status_code, "expected a duration" in wrong.json()["error"]) == (400, True)
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute("UPDATE turns SET head = x'7b' WHERE conversation_id = 'failed'")
    unreadable = await http.get("/dev/api/reviews")
    assert (unreadable.status_code, "cannot be read" in unreadable.json()["error"]) == (503, True)
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute("ALTER TABLE turns RENAME TO lost")
    gone = await http.get("/dev/api/reviews")
    assert (gone.status_code, "cannot be read" in gone.json()["error"]) == (503, True)


async def test_a_call_without_words_of_the_caller_makes_no_scenario(tmp_path: Path) -> None:
    async with dev_server(tmp_path, voice=Silence(pace=100)) as app, client(app) as http:
        call = (await talk(app)).conversation_id
        answer = await http.post("/dev/api/reviews/scenario", json={"conversation_id": call, "goal": "order"})
        assert (answer.status_code, "The caller said nothing" in answer.json()["error"]) == (400, True)


AGENT = """
import asyncio
from layercode_app import VoiceAgent

agent = VoiceAgent("shop", greeting="Hi.")


@agent.on_message
async def think(turn):
    await asyncio.Event().wait()
"""


async def test_a_call_that_is_answering_cannot_be_reviewed(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "shop.py").write_text(AGENT)
    async with dev_server(tmp_path, voice=Silence(pace=100), agents=tmp_path / "agents") as app, client(app) as http:
        session = app.emulator.open(app.emulator.authorize("shop"), send=lambda _: None, hang_up=lambda _: None)
        session.receive({"type": "client.ready"})
        await session.idle()
        session.receive({"type": "client.response.text", "content": "hello"})
        async with asyncio.timeout(100):
            while not [turn async for turn in app.layercode.store.turns() if turn.status is Status.RUNNING]:
                await asyncio.sleep(0.01)
        verdict = {"conversation_id": session.conversation_id, "good": True}
        refused = await http.post("/dev/api/reviews", json=verdict)
        assert (refused.status_code, "still running" in refused.json()["error"]) == (409, True)
        await app.emulator.close(session)

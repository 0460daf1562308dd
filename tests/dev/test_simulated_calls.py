"""A simulated caller calls the running agent: the call is an ordinary one, is graded at its end, and can be stopped."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from layercode_app.dev.app import DevApp
from layercode_app.dev.callers import find_callers
from layercode_app.dev.simulated_calls import SimulatedCalls, conversation_id_of
from layercode_app.emulator.speech import Silence
from layercode_app.testing.evals.live import line

from ..model_server import ModelServer
from ..serving import serve
from ..waiting import until
from .serving import dev_server
from .test_dev_app import client, get

pytestmark = pytest.mark.anyio

SCENARIOS = """
agent: shop
scenarios:
  - name: buys a cake
    caller:
      script: [{when: welcome, say: One cake please}, {when: certainly, say: That is all}]
    end: {tools: [{name: sell, times: 1}], state: {cakes: 1}, within_turns: 3, absent_tools: [steal], judge: polite}
  - name: expects two
    caller: {script: [{say: One cake please}]}
    end: {state: {cakes: 2}}
  - name: waits in vain
    caller: {script: [{say: Hello}, {when: goodbye, say: Bye}]}
  - name: never ends
    caller: {script: "tests.dev.test_simulated_calls:endless", max_turns: 3}
  - name: raises
    caller: {script: "tests.dev.test_simulated_calls:broken"}
  - name: hangs
    caller: {script: "tests.dev.test_simulated_calls:hanging"}
  - name: no such function
    caller: {script: "tests.dev.test_simulated_calls:missing"}
  - name: impatient
    caller:
      script: [{say: Tell me a story}, {say: "One cake, please, quickly"}, {say: Thanks}]
      behaviour: {interrupts: 1, splits: 1, silent: 0.5}
  - name: mocked
    caller: {script: [{say: One cake please}]}
    mock: {sell: no cakes left}
    end: {state: {cakes: 1}}
  - name: a model
    caller: {goal: buy a cake}
  - name: fixed
    turns: [{}]
"""


def endless(hearing: Any) -> str:
    return f"Hello {len(hearing.exchanges)}"


def broken(hearing: Any) -> str:
    raise ValueError("the till is jammed")


def hanging(hearing: Any) -> str:
    HANGING.wait()
    return ""


HANGING = threading.Event()


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(line, "SILENT_SECONDS", 0.01)
    monkeypatch.setattr(line, "PAUSE_SECONDS", 0.01)
    HANGING.clear()
    yield
    HANGING.set()


def write(tmp_path: Path, text: str = SCENARIOS) -> None:
    (tmp_path / "evals").mkdir(exist_ok=True)
    (tmp_path / "evals" / "shop.yaml").write_text(text)


async def start(http: httpx.AsyncClient, scenario: str, /, **more: Any) -> tuple[int, Any]:
    asked = {"agent": "shop", "file": "evals/shop.yaml", "scenario": scenario} | more
    answer = await http.post("/dev/api/simulated-calls", json=asked)
    return answer.status_code, answer.json()


async def ended(app: DevApp, call: Any) -> Any:
    """Wait until nothing more happens in a call, and return it."""
    held = app.simulated

    def found() -> Any:
        return next(one for one in held.calls() if one["conversation_id"] == call["conversation_id"])

    await until(lambda: found()["over"])
    return found()


async def whole(app: DevApp, scenario: str, **more: Any) -> Any:
    async with client(app) as http:
        status, call = await start(http, scenario, **more)
        assert status == 201, call
    return await ended(app, call)


async def test_a_call_runs_to_its_end_and_is_graded(tmp_path: Path) -> None:
    write(tmp_path)
    async with dev_server(tmp_path, voice=Silence(pace=100)) as app:
        call = await whole(app, "buys a cake")
        shown = await get(app, f"/dev/api/conversations/{call['conversation_id']}")
        listed = await get(app, "/dev/api/conversations")
    assert call["ending"] == {"how": "caller", "text": "The caller said every line of the script and hung up."}
    assert {check["name"]: list(check["failures"]) for check in call["checks"]} == {
        "state": [],
        "tools": [],
        "absent_tools": [],
        "within_turns": [],
    }
    assert call["judges"] == ["polite"]
    # The journal has the simulated call like any other: the words of both sides, the tool, and the end of the session.
    spoken = [turn for turn in shown["turns"] if turn["kind"] in ("greeting", "message")]
    assert [turn["user_text"] for turn in spoken] == ["", "One cake please", "That is all"]
    assert [tool["name"] for tool in spoken[1]["tools"]] == ["sell"]
    assert "session.end" in [turn["event"]["type"] for turn in shown["turns"]]
    assert [row["simulated"] for row in listed["conversations"]] == ["buys a cake"]


async def test_a_failed_check_says_what_was_expected(tmp_path: Path) -> None:
    write(tmp_path)
    async with dev_server(tmp_path, voice=Silence(pace=100)) as app:
        call = await whole(app, "expects two")
    [check] = call["checks"]
    assert (check["name"], check["expected"]) == ("state", '{"cakes": 2}')
    assert "the state ends with cakes = 1, expected 2" in check["failures"][0]


@pytest.mark.parametrize(
    ("scenario", "how", "text"),
    [
        ("waits in vain", "caller", "because 'goodbye' was not heard; they still had to say 'Bye'."),
        ("never ends", "max_turns", "The caller may send 3 messages (max_turns)"),
        ("raises", "failed", "endless"),
    ],
)
async def test_the_page_is_told_why_a_call_ended(tmp_path: Path, scenario: str, how: str, text: str) -> None:
    write(tmp_path)
    async with dev_server(tmp_path, voice=Silence(pace=100)) as app:
        call = await whole(app, scenario)
        # The server is alive after each of them.
        assert (await get(app, "/dev/api/agents"))["agents"][0]["name"] == "shop"
    if scenario == "raises":
        text = f"The caller's script {__name__}:broken raised ValueError: the till is jammed."
    assert call["ending"]["how"] == how
    assert text in call["ending"]["text"]
    if how == "failed":
        assert call["checks"] is None
    else:
        # A scenario without `end` still has this check, as in `eval`: the call must come to its end.
        [check] = call["checks"]
        assert (check["name"], len(check["failures"])) == ("comes to its end", 1)


async def test_the_agent_hangs_up(tmp_path: Path) -> None:
    agents = tmp_path / "agents"
    agents.mkdir()
    (agents / "shop.py").write_text(
        "from layercode_app import Turn, VoiceAgent\n\nagent = VoiceAgent('shop', greeting='Welcome.')\n\n"
        "@agent.on_message\nasync def answer(turn: Turn) -> str:\n    turn.hangup()\n    return 'Goodbye.'\n"
    )
    write(tmp_path)
    async with dev_server(tmp_path, agents=agents, voice=Silence(pace=100)) as app:
        call = await whole(app, "waits in vain")
    assert call["ending"] == {"how": "agent", "text": "The agent hung up."}


async def test_an_impatient_caller_interrupts_and_the_same_seed_does_the_same(tmp_path: Path) -> None:
    write(tmp_path)
    async with dev_server(tmp_path, voice=Silence(pace=20)) as app:
        calls = [await whole(app, "impatient", seed=seed) for seed in (3, 3)]
        shown = [await get(app, f"/dev/api/conversations/{call['conversation_id']}") for call in calls]
    assert calls[0]["behaviours"] == calls[1]["behaviours"]
    assert calls[0]["behaviours"]
    spoken = [[turn for turn in one["turns"] if turn["kind"] == "message"] for one in shown]
    assert [turn["user_text"] for turn in spoken[0]] == [turn["user_text"] for turn in spoken[1]]
    assert any(turn["cut"] for turn in spoken[0])


async def test_mocked_tools_do_not_run(tmp_path: Path) -> None:
    write(tmp_path)
    async with dev_server(tmp_path, voice=Silence(pace=100)) as app:
        mocked = await whole(app, "mocked")
        real = await whole(app, "expects two")
        shown = await get(app, f"/dev/api/conversations/{mocked['conversation_id']}")
    assert "cakes = 0, expected 1" in mocked["checks"][0]["failures"][0]
    assert "cakes = 1" in real["checks"][0]["failures"][0]
    assert any("no cakes left" in turn["spoken_text"] for turn in shown["turns"])


@pytest.mark.parametrize("scenario", ["impatient", "hangs"])
async def test_a_call_is_stopped_at_any_moment(tmp_path: Path, scenario: str) -> None:
    write(tmp_path)
    async with dev_server(tmp_path, voice=Silence(pace=1)) as app, client(app) as http:
        _, call = await start(http, scenario)
        path = f"/dev/api/simulated-calls/{call['conversation_id']}"
        await until(lambda: app.emulator.sessions)
        session = next(iter(app.emulator.sessions.values()))
        await until(lambda: any(turn.accepted for turn in session.turns))
        stopped = await http.post(f"{path}/stop", json={})
        assert stopped.status_code == 200
        over = await ended(app, call)
        again = await http.post(f"{path}/stop", json={})
    assert over["ending"] == {"how": "stopped", "text": "You stopped the call."}
    assert over["checks"] is None
    assert again.json()["ending"] == over["ending"]


async def test_a_persona_is_played_by_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def reply(messages: list[dict[str, Any]]) -> str:
        said = str(messages[-1]["content"])
        done = "cakes sold so far" in said
        return json.dumps({"action": "goal_reached" if done else "say", "words": "" if done else "One cake, please"})

    server = ModelServer(reply=reply, plain=True)
    async with serve(server.app) as url, dev_server(tmp_path, voice=Silence(pace=100)) as app, client(app) as http:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "test-key")
        asked = {"agent": "shop", "persona": "in a hurry", "goal": "buy a cake", "model": "openai-chat:gpt-test"}
        call = (await http.post("/dev/api/simulated-calls", json=asked)).json()
        over = await ended(app, call)
    assert over["ending"]["how"] == "goal reached"
    assert over["name"] == "in a hurry"
    assert "Your goal: buy a cake" in json.dumps(server.requests[0])


async def test_what_cannot_start_is_refused_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    write(tmp_path)
    (tmp_path / "evals" / "broken.yaml").write_text("agent: shop\nscenarios: [{name: x, caler: {}}]")
    async with dev_server(tmp_path, voice=Silence(pace=100)) as app, client(app) as http:
        listed = (await http.get("/dev/api/callers")).json()
        refused = {
            name: await start(http, name, **more)
            for name, more in {
                "nothing": {},
                "fixed": {},
                "no such function": {},
                "a model": {},
                "a model ": {"scenario": "a model", "model": "openai:gpt-5-mini"},
                "x": {"file": "evals/broken.yaml"},
                "elsewhere": {"file": "../../etc/passwd"},
                "agent": {"agent": "nobody"},
                "persona": {"file": "", "scenario": "", "goal": " "},
            }.items()
        }
        nobody = await http.post("/dev/api/simulated-calls/nobody/stop", json={})
        assert app.simulated.calls() == []
    assert [one["file"] for one in listed["broken"]] == ["evals/broken.yaml"]
    shop = [one["scenario"] for one in listed["callers"] if one["agent"] == "shop"]
    assert shop[0] == "buys a cake"
    assert "fixed" not in shop
    assert nobody.status_code == 404
    errors = {name: answer["error"] for name, (status, answer) in refused.items() if status == 400}
    assert errors.keys() == refused.keys()
    assert "has no scenario 'nothing' with a `caller` for agent 'shop'" in errors["nothing"]
    assert "'missing' is None; expected a function" in errors["no such function"]
    assert "Choose the model, such as openai:gpt-5-mini" in errors["a model"]
    assert "OPENAI_API_KEY is not set. Put it into .env" in errors["a model "]
    assert "caler" in errors["x"]
    assert "no scenario" in errors["elsewhere"]
    assert "There is no agent 'nobody'" in errors["agent"]
    assert "a persona needs a goal" in errors["persona"]


async def test_a_page_hears_the_messages_of_a_call_until_its_end(tmp_path: Path) -> None:
    write(tmp_path)
    async with dev_server(tmp_path, voice=Silence(pace=10)) as app, client(app) as http:
        _, call = await start(http, "buys a cake")
        path = f"/dev/api/simulated-calls/{call['conversation_id']}/messages"
        heard = [message async for message in _messages(http, path)]
        late = [message async for message in _messages(http, path)]
        assert await ended(app, call)
    kinds = [message["type"] for message in heard]
    assert kinds[-1] == "closed"
    assert [message["content"] for message in heard if message["type"] == "user.transcript"] == [
        "One cake please",
        "That is all",
    ]
    assert {"turn.start", "response.text", "response.audio", "response.data", "response.end"} <= set(kinds)
    assert late == [{"type": "closed", "reason": ""}]


async def _messages(http: httpx.AsyncClient, path: str) -> AsyncIterator[Any]:
    async with http.stream("GET", path) as answer:
        async for text in answer.aiter_lines():
            if text.startswith("data: "):
                message = json.loads(text.removeprefix("data: "))
                yield message
                if message["type"] == "closed":
                    return


def test_the_name_of_a_caller_survives_a_restart() -> None:
    calls = object.__new__(SimulatedCalls)
    calls._held = {}
    assert calls.name_of(conversation_id_of("Change of mind!")) == "change of mind"
    assert calls.name_of(conversation_id_of("…")) == "caller"
    assert calls.name_of("conv-1") == ""


def test_callers_of_the_project_come_before_those_beside_agents(tmp_path: Path) -> None:
    write(tmp_path)
    beside = tmp_path / "agents"
    (beside / "evals").mkdir(parents=True)
    (beside / "evals" / "more.yml").write_text(
        "agent: pack.shop:agent\nscenarios: [{name: more, caller: {script: [{say: Hi}]}}]"
    )
    found = find_callers(tmp_path, [beside, tmp_path / "nowhere"], {"pack.shop:agent": "shop"})
    assert found.callers[-1].to_json() | {"behaviour": 0} == {
        "agent": "shop",
        "file": "agents/evals/more.yml",
        "scenario": "more",
        "persona": "",
        "goal": "",
        "needs_model": False,
        "behaviour": 0,
        "max_turns": 12,
        "mocked": [],
        "graded": False,
    }
    assert found.callers[0].scenario.name == "buys a cake"
    assert found.broken == {}

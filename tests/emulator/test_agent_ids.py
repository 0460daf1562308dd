"""Every route accepts an unregistered agent id and answers with it. An update changes only the fields it contains."""

from __future__ import annotations

from functools import reduce
from pathlib import Path

import httpx
import pytest

from layercode_app.emulator.agent_changes import AgentChanges
from layercode_app.emulator.agents import AgentSpec
from layercode_app.emulator.emulator import Emulator
from layercode_app.emulator.speech import Silence
from layercode_app.platform.webhook_places import WEBHOOK_PLUGIN

from ..dev.serving import dev_server
from .backend import SECRET
from .platform import READY, platform

pytestmark = pytest.mark.anyio

OTHER = "http://127.0.0.1:2/other"


async def test_any_id_is_answered_under_that_id(tmp_path: Path) -> None:
    async with platform(recordings=tmp_path) as p:
        shown = (await p.http.get("/v1/agents/ag-local")).json()
        assert (shown["id"], shown["name"], shown["webhook_url"]) == ("ag-local", "ag-local", f"{p.backend_url}/hook")
        assert [a["id"] for a in (await p.http.get("/v1/agents")).json()["agents"]] == ["agent"]
        async with p.client(agent_id="ag-local") as client:
            await client.send(READY)
            await client.listen()
        ended = await p.backend.until("session.end")
        await p.backend.until("session.update")
        session = (await p.http.get(f"/v1/agents/ag-local/sessions/{ended['session_id']}")).json()
        recording = await p.http.get(f"/v1/agents/ag-local/sessions/{ended['session_id']}/recording")
        of_default = await p.http.get(f"/v1/agents/agent/sessions/{ended['session_id']}")
        elsewhere = await p.http.get(f"/v1/agents/ag-other/sessions/{ended['session_id']}")
    assert (ended["agent_id"], session["agent_id"]) == ("ag-local", "ag-local")
    assert session["recording_url"].endswith(f"/v1/agents/ag-local/sessions/{ended['session_id']}/recording")
    assert (recording.status_code, recording.content[:4]) == (200, b"RIFF")
    assert (of_default.status_code, elsewhere.status_code) == (200, 404)


@pytest.mark.parametrize("agent_id", ["agent", "ag-local"])
async def test_an_update_changes_only_what_it_carries(agent_id: str) -> None:
    async with platform() as p:
        url = f"/v1/agents/{agent_id}"
        named = await p.http.post(url, json={"name": "Desk"})
        assert (named.status_code, named.json()["name"]) == (200, "Desk")
        assert named.json()["webhook_url"] == f"{p.backend_url}/hook"
        moved = (await p.http.post(url, json={"webhook_url": OTHER, "unknown": 1})).json()
        plugins = [{"use": "tts.rime", "options": {"voice": "x"}}]
        config = {"plugins": plugins, "session_duration_timeout_minutes": 5, "vad": {"threshold": 0.5}}
        await p.http.post(url, json={"config": config})
        shown = (await p.http.get(url)).json()
        granted = (await p.authorize(agent_id=agent_id))["config"]
        empty = (await p.http.post(url, json={})).json()

    assert (moved["name"], moved["webhook_url"]) == ("Desk", OTHER)
    webhook = {"use": "agent.webhook", "options": {"url": OTHER}}
    assert shown["config"]["plugins"] == [*plugins, webhook]
    assert shown["config"]["session_duration_timeout_minutes"] == 5
    assert shown["config"]["vad"] == {"enabled": False, "threshold": 0.5}
    assert shown["config"]["transcription"]["trigger"] == "automatic"
    assert "plugins" not in granted
    assert granted["vad"] == {"enabled": False, "threshold": 0.5}
    assert empty == shown


@pytest.mark.parametrize(
    "config",
    [
        {"plugins": [{"use": "agent.webhook", "options": {"url": OTHER}}]},
        {"plugins": [{"use": "agent.webhook", "options": OTHER}]},
        {"endpoint": OTHER},
    ],
)
async def test_a_webhook_may_be_moved_by_the_configuration(config: dict[str, object]) -> None:
    async with platform() as p:
        moved = (await p.http.post("/v1/agents/agent", json={"config": config})).json()
        assert moved["webhook_url"] == OTHER
        assert moved["config"]["plugins"] == [{"use": "agent.webhook", "options": {"url": OTHER}}]


@pytest.mark.parametrize(
    ("body", "field"),
    [({"name": 5}, "name"), ({"webhook_url": "x"}, "webhook_url"), ({"config": []}, "config"),
     ({"config": {"endpoint": "http://"}}, "config")],
)  # fmt: skip
async def test_an_update_that_cannot_be_is_refused_and_changes_nothing(body: dict[str, object], field: str) -> None:
    async with platform() as p:
        before = (await p.http.get("/v1/agents/agent")).json()
        refused = await p.http.post("/v1/agents/agent", json={"name": "New"} | body)
        assert (refused.status_code, refused.json()["error"].startswith(field)) == (400, True)
        assert (await p.http.get("/v1/agents/agent")).json() == before


async def test_where_agents_are_listed_no_other_id_is_served() -> None:
    async with platform(agents=[AgentSpec("other", OTHER, SECRET)]) as p:
        assert (await p.http.get("/v1/agents/ag-local")).status_code == 400


async def test_dev_takes_the_id_of_a_page_as_the_emulator_does(tmp_path: Path) -> None:
    async with (
        dev_server(tmp_path, voice=Silence(pace=100)) as app,
        httpx.AsyncClient(base_url=app.url, trust_env=False, timeout=100) as http,
    ):
        answer = await http.post("/api/authorize", json={"agent_id": "ag-local"}, headers={"origin": app.url})
        assert answer.status_code == 200, answer.text
        grant = app.emulator.redeem(answer.json()["client_session_key"])
    assert (grant.agent.id, grant.agent.name) == ("ag-local", "shop")


async def test_a_reload_keeps_the_agents_that_were_added_and_what_was_changed(tmp_path: Path) -> None:
    async with dev_server(tmp_path) as app, httpx.AsyncClient(base_url=f"{app.url}/v1", trust_env=False) as http:
        added = (await http.post("/agents", json={})).json()["id"]
        await http.post("/agents/shop", json={"name": "Desk", "config": {"vad": {"threshold": 0.5}}})
        await http.post("/agents/shop", json={"webhook_url": OTHER})
        await http.post("/agents/ag-local", json={"webhook_url": OTHER})
        before = {name: (await http.get(f"/agents/{name}")).json() for name in ("shop", "ag-local", added)}
        app.reload(app.layercode.settings)
        after = {name: (await http.get(f"/agents/{name}")).json() for name in before}
        listed = [agent["id"] for agent in (await http.get("/agents")).json()["agents"]]
    assert after == before
    assert (after["shop"]["name"], after["shop"]["webhook_url"]) == ("Desk", OTHER)
    assert {*before} <= {*listed}
    assert listed[0] == "shop"


def spec(agent_id: str) -> AgentSpec:
    return AgentSpec(agent_id, f"http://127.0.0.1:1/api/agents/{agent_id}", "test-secret")


async def test_a_changed_agent_whose_file_was_deleted_is_gone_until_its_file_is_back() -> None:
    emulator = Emulator(spec("bakery"), agents=[spec("clinic")], any_agent=True)
    emulator.change_agent("clinic", AgentChanges(name="Doctor"))
    emulator.use(spec("bakery"))
    assert [*emulator.agents] == ["bakery"]
    emulator.use(spec("bakery"), spec("clinic"))
    assert emulator.agents["clinic"].name == "Doctor"


@pytest.mark.parametrize(
    "changes",
    [
        [{"name": "A", "webhook_url": OTHER}, {"config": {"vad": {"threshold": 1}}}, {"config": {"vad": {"n": 2}}}],
        [{"config": {"plugins": [{"use": WEBHOOK_PLUGIN, "options": {"url": OTHER}}]}}, {"config": {"plugins": []}}],
        [{"config": {"vad": {"n": 1}}}, {"config": {"vad": None}}, {"name": ""}],
    ],
)
async def test_changes_in_one_have_the_effect_of_all(changes: list[dict[str, object]]) -> None:
    each, merged = spec("a"), spec("a")
    for change in changes:
        AgentChanges.model_validate(change).apply(each)
    reduce(AgentChanges.then, map(AgentChanges.model_validate, changes)).apply(merged)
    assert merged == each

"""The emulator's REST API: authorization, agents, and errors for bad requests."""

from __future__ import annotations

import pytest

from layercode_app.emulator.agents import AgentSpec

from .backend import SECRET
from .platform import platform

pytestmark = pytest.mark.anyio


async def test_what_a_client_needs_of_the_configuration() -> None:
    async with platform(trigger="push_to_talk") as p:
        config = (await p.authorize())["config"]
        assert config["transcription"]["trigger"] == "push_to_talk"
        assert config["vad"] == {"enabled": False}
        changed = await p.authorize(config={"transcription": {"trigger": "automatic", "can_interrupt": False}})
        assert changed["config"]["transcription"]["trigger"] == "automatic"
        grant = p.emulator.redeem(changed["client_session_key"])
        assert (grant.trigger, grant.can_interrupt) == ("automatic", False)


async def test_the_rest_api_of_agents() -> None:
    other = AgentSpec("other", "http://127.0.0.1:1/hook", SECRET)
    async with platform(agents=[other], api_key="test-key") as p:
        assert (await p.http.get("/v1/agents")).status_code == 400
        p.http.headers["authorization"] = "Bearer test-key"
        assert [a["id"] for a in (await p.http.get("/v1/agents")).json()["agents"]] == ["agent", "other"]
        made = await p.http.post("/v1/agents", json={})
        assert made.status_code == 201
        assert made.json()["webhook_secret"]
        url = f"/v1/agents/{made.json()['id']}"
        assert (await p.http.post(url, json={"webhook_url": "ftp://x"})).status_code == 400
        await p.http.post(url, json={"webhook_url": "http://127.0.0.1:2/new"})
        shown = (await p.http.get(url)).json()
        assert shown["config"]["plugins"][0]["options"]["url"] == shown["webhook_url"] == "http://127.0.0.1:2/new"
        for path, body in {"/v1/agents/web/authorize_session": {"agent_id": "no"}, "/v1/agents/no": None}.items():
            response = await (p.http.post(path, json=body) if body else p.http.get(path))
            assert response.status_code == 400
            assert "no" in response.json()["error"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b'{"agent_id": 3}',
        b'{"agent_id":"a","metadata":[]}',
        b'{"agent_id":"a","custom_headers":{"a b":"c"}}',
        b'{"agent_id":"a","custom_headers":{"a":"b\\nc"}}',
    ],
)
async def test_a_bad_request_is_told_what_is_wrong(body: bytes) -> None:
    async with platform() as p:
        headers = {"content-type": "application/json"}
        response = await p.http.post("/v1/agents/web/authorize_session", content=body, headers=headers)
        assert response.status_code == 400
        assert response.json()["error"]
        response = await p.http.post("/v1/agents/web/authorize_session", content=b'{"agent_id":"a"}')
        assert response.status_code == 400


async def test_a_refused_request_leaves_the_conversations_earlier_key() -> None:
    async with platform() as p:
        body = {"agent_id": "web", "conversation_id": "c"}
        key = (await p.http.post("/v1/agents/web/authorize_session", json=body)).json()["client_session_key"]
        refused = await p.http.post("/v1/agents/web/authorize_session", json={**body, "custom_headers": {"a b": "c"}})
        assert refused.status_code == 400
        assert p.emulator.redeem(key).conversation_id == "c"

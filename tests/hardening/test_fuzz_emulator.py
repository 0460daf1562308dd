"""Random bytes never cause a 5xx response.

They are sent to the emulated platform, to the dev page, and to `/api/authorize`, the route of a server that asks the
platform for a session.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect

from layercode_app import LayerCode, find_agent
from layercode_app.dev.app import DevApp
from layercode_app.emulator.app import create_emulator
from layercode_app.emulator.speech import Silence
from layercode_app.testing.asgi import InProcess

from ..calling import SECRET
from ..calling import settings as server_settings
from ..dev.serving import dev_server
from ..processes import ROOT
from ..serving import serve
from ..thoroughness import times
from .test_fuzz import json_values

pytestmark = pytest.mark.anyio

FUZZ = settings(max_examples=times(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
DEEP = [b'{"a":' * 3000, b"[" * 100_000, b'{"config":' * 150 + b"1" + b"}" * 150]
EMULATOR = (
    ("POST", "/v1/agents/web/authorize_session"),
    ("GET", "/v1/agents"),
    ("POST", "/v1/agents"),
    ("GET", "/v1/agents/agent"),
    ("POST", "/v1/agents/agent"),
    ("GET", "/v1/agents/agent/sessions/s1"),
    ("GET", "/v1/agents/agent/sessions/s1/recording"),
    ("POST", "/v1/agents/agent/calls/initiate_outbound"),
    ("PUT", "/emulator/faults"),
    ("GET", "/v1/agents/web/websocket"),
)
PAGE = (
    ("POST", "/dev/api/sessions"),
    ("POST", "/dev/api/fork"),
    ("POST", "/dev/api/speech"),
    ("GET", "/dev/api/conversations"),
    ("GET", "/dev/api/conversations/c1"),
    ("GET", "/dev/api/conversations/c1/export"),
    ("GET", "/dev/api/conversations/c1/turns/t1"),
    ("GET", "/dev/api/conversations/c1/turns/t1/logs"),
    ("GET", "/dev/static/css"),
)
FIELDS = (
    "agent_id", "agent", "conversation_id", "config", "metadata", "custom_metadata", "custom_headers", "webhook_url",
    "from_phone_number", "to_phone_number", "say", "text", "turn_id", "prompt", "model", "rest", "duplicate",
    "latency_ms", "interrupt_after_ms", "content", "data", "event", "role", "reason", "sdk_version",
)  # fmt: skip
LIKELY = ("agent", "shop", "echo", "http://[", "http://127.0.0.1:1/x", "+1", "vad_start", "user", "\ud83d", "\0", "é")

anything = json_values | st.sampled_from(LIKELY)
objects = st.dictionaries(st.sampled_from(FIELDS), anything, max_size=6)
bodies = st.binary(max_size=200) | st.sampled_from(DEEP) | objects.map(lambda fields: json.dumps(fields).encode())
ends = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?#%\\"), max_size=20)
kinds = st.sampled_from(
    ["client.ready", "client.audio", "vad_events", "trigger.turn.start", "trigger.turn.end", "client.response.text",
     "client.response.data", "trigger.response.audio.replay_finished", "other"]
)  # fmt: skip
messages = st.builds(lambda kind, fields: json.dumps(fields | {"type": kind}), kinds, objects) | st.sampled_from(
    [deep.decode() for deep in DEEP]
    + [f'{{"type": "client.response.data", "data": {deep.decode()}}}' for deep in DEEP]
    + ["", "[]", "null", "1e999", "\0"]
)


async def ask(http: httpx.AsyncClient, method: str, path: str, body: bytes) -> int:
    content = None if method == "GET" else body
    answer = await http.request(method, path, content=content, headers={"content-type": "application/json"})
    if path == "/emulator/faults":
        await http.put(path, json={})
    return answer.status_code


@pytest.fixture
async def emulator() -> AsyncIterator[httpx.AsyncClient]:
    app = create_emulator("http://127.0.0.1:1/hook", SECRET, voice=Silence(pace=1000))
    async with httpx.AsyncClient(transport=InProcess(app), base_url="http://127.0.0.1") as client:
        yield client
        assert (await client.get("/v1/agents")).status_code == 200
    await app.state.emulator.aclose()


@FUZZ
@given(route=st.sampled_from(EMULATOR), rest=ends, body=bodies)
@pytest.mark.slow
async def test_any_bytes_at_the_emulator(
    emulator: httpx.AsyncClient, route: tuple[str, str], rest: str, body: bytes
) -> None:
    method, path = route
    for place in (path, path + rest):
        assert await ask(emulator, method, f"http://127.0.0.1{place}" if rest else place, body) < 500


@pytest.mark.parametrize("body", DEEP, ids=["objects", "lists", "whole"])
@pytest.mark.parametrize("route", [route for route in EMULATOR if route[0] != "GET"], ids=lambda route: route[1])
async def test_what_is_nested_too_deeply_is_refused(
    emulator: httpx.AsyncClient, route: tuple[str, str], body: bytes
) -> None:
    assert await ask(emulator, *route, body) == (201 if route[1] == "/v1/agents" else 400)


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[tuple[DevApp, httpx.AsyncClient]]:
    async with (
        dev_server(tmp_path, voice=Silence(pace=1000), authorize_rate="") as app,
        httpx.AsyncClient(base_url=app.url, trust_env=False, timeout=100) as http,
    ):
        yield app, http
        assert (await http.get("/dev/api/agents")).status_code == 200


@FUZZ
@given(route=st.sampled_from((*PAGE, *EMULATOR, ("POST", "/api/authorize"))), rest=ends, body=bodies)
@pytest.mark.slow
async def test_any_bytes_at_the_dev_page(
    page: tuple[DevApp, httpx.AsyncClient], route: tuple[str, str], rest: str, body: bytes
) -> None:
    method, path = route
    for place in (path, path + rest):
        assert await ask(page[1], method, page[0].url + place, body) < 500


@pytest.mark.parametrize("body", DEEP, ids=["objects", "lists", "whole"])
@pytest.mark.parametrize("path", [path for method, path in PAGE if method == "POST"])
async def test_the_dev_page_refuses_what_is_nested_too_deeply(
    page: tuple[DevApp, httpx.AsyncClient], path: str, body: bytes
) -> None:
    assert await ask(page[1], "POST", path, body) == 400


@pytest.fixture
async def socket(page: tuple[DevApp, httpx.AsyncClient], errors: list[str]) -> AsyncIterator[ClientConnection]:
    """Yield the WebSocket of a call. After the test, check that the call still works: a message is answered."""
    app, http = page
    granted = (await http.post("/v1/agents/web/authorize_session", json={"agent_id": "shop"})).json()
    address = f"{app.url.replace('http', 'ws', 1)}/v1/agents/web/websocket?client_session_key="
    async with connect(address + granted["client_session_key"]) as socket:
        yield socket
        await socket.send(json.dumps({"type": "client.response.text", "content": "still there?"}))
        async with asyncio.timeout(100):
            while (message := json.loads(await socket.recv())).get("content") != "still there?":
                assert message["type"]
            while json.loads(await socket.recv())["type"] != "response.end":
                pass
    assert errors == []


@FUZZ
@given(sent=st.lists(messages | st.binary(max_size=50), max_size=3))
@pytest.mark.slow
async def test_any_message_leaves_the_call_alive(socket: ClientConnection, sent: list[str | bytes]) -> None:
    for message in sent:
        await socket.send(message)


@pytest.fixture
async def authorizing(tmp_path: Path, errors: list[str]) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of a server that has an API key and uses the emulated platform.

    After the test, check that the server still authorizes a session.
    """
    async with serve(create_emulator("http://127.0.0.1:1/hook", SECRET, api_key="test-key")) as platform:
        given: dict[str, Any] = {"api_url": f"{platform}/v1", "api_key": "test-key", "store": "memory"}
        given |= {"authorize_agents": "*", "authorize_rate": "", "authorize_fields": "config,custom_metadata"}
        app = LayerCode(find_agent("echo", ROOT / "agents"), settings=server_settings(tmp_path, **given))
        async with httpx.AsyncClient(transport=InProcess(app), base_url="http://agent.test") as client:
            yield client
            assert (await client.post("/api/authorize", json={"agent_id": "agent"})).status_code == 200
        await app.stop()
    assert errors == []


@FUZZ
@given(body=bodies)
@pytest.mark.slow
async def test_any_bytes_at_authorize(authorizing: httpx.AsyncClient, body: bytes) -> None:
    assert (await authorizing.post("/api/authorize", content=body)).status_code < 500


@pytest.mark.parametrize("field", ["metadata", "config", "custom_metadata"])
@pytest.mark.parametrize("depth", [90, 150, 900])
async def test_deep_fields_at_authorize(authorizing: httpx.AsyncClient, field: str, depth: int) -> None:
    body = b'{"agent_id": "agent", "%s": %s1%s}' % (field.encode(), b'{"a":' * depth, b"}" * depth)
    assert (await authorizing.post("/api/authorize", content=body)).status_code < 500

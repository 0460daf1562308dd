"""Random bytes at any route cause no 5xx and no logged error, and the next caller is answered."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layercode_app import LayerCode, find_agent, sign
from layercode_app.testing.asgi import InProcess

from ..calling import SECRET
from ..calling import settings as server_settings
from ..processes import ROOT
from ..thoroughness import times

pytestmark = pytest.mark.anyio

GOOD = {"type": "message", "session_id": "s", "conversation_id": "c", "turn_id": "t", "text": "hello"}
ROUTES = (
    "/api/agent",
    "/api/agents/echo",
    "/api/agents/",
    "/api/authorize",
    "/health",
    "/ready",
    "/metrics",
    "/",
    "/api/",
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD")
MALFORMED = 2_000
FUZZ = settings(max_examples=times(150), suppress_health_check=[HealthCheck.function_scoped_fixture])

header_values = st.binary(max_size=300).filter(lambda value: not {0, 10, 13} & set(value))
json_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
events = st.builds(
    lambda kind, fields: json.dumps({"type": kind, **fields}).encode(),
    st.sampled_from(["message", "data", "session.start", "welcome", "session.update", "session.end", "other"]),
    st.dictionaries(
        st.sampled_from(
            [
                "session_id",
                "conversation_id",
                "turn_id",
                "text",
                "data",
                "metadata",
                "interruption_context",
                "transcript",
                "started_at",
                "duration",
                "recording_status",
                "from_phone_number",
            ]
        ),
        json_values | st.text(min_size=1, max_size=8),
    ),
)


@pytest.fixture
async def http(tmp_path: Path, errors: list[str]) -> AsyncIterator[httpx.AsyncClient]:
    app = LayerCode(find_agent("echo", ROOT / "agents"), settings=server_settings(tmp_path, store="memory"))
    async with httpx.AsyncClient(transport=InProcess(app), base_url="http://agent.test") as client:
        yield client
        answer = await post(client, json.dumps(GOOD | {"turn_id": "afterwards"}).encode())
        assert "You said: hello" in answer.text
    await app.stop()
    assert errors == []


async def post(client: httpx.AsyncClient, body: bytes, header: bytes | None = None) -> httpx.Response:
    value = sign(body, SECRET).encode() if header is None else header
    return await client.post("/api/agent", content=body, headers=[(b"layercode-signature", value)])


@FUZZ
@given(header=header_values)
async def test_any_signature_is_refused(http: httpx.AsyncClient, header: bytes) -> None:
    assert (await post(http, json.dumps(GOOD).encode(), header)).status_code == 401


@FUZZ
@given(body=st.binary(max_size=500))
async def test_any_bytes_that_are_signed_are_refused_or_answered(http: httpx.AsyncClient, body: bytes) -> None:
    assert (await post(http, body)).status_code in (200, 400)


@FUZZ
@given(body=events)
@pytest.mark.slow
async def test_any_event_is_refused_or_answered(http: httpx.AsyncClient, body: bytes) -> None:
    assert (await post(http, body)).status_code in (200, 400)


@FUZZ
@given(
    method=st.sampled_from(METHODS),
    route=st.sampled_from(ROUTES),
    rest=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?#%\\"), max_size=20),
    body=st.binary(max_size=200),
)
async def test_random_bytes_at_every_route(
    http: httpx.AsyncClient, method: str, route: str, rest: str, body: bytes
) -> None:
    for path in (route, route + rest):
        answer = await http.request(method, f"http://agent.test{path}", content=body)
        assert answer.status_code < 500


@pytest.mark.slow
async def test_thousands_of_malformed_webhooks(http: httpx.AsyncClient) -> None:
    chance = random.Random(1)
    statuses = set()
    for _ in range(MALFORMED):
        body = bytearray(json.dumps(GOOD).encode())
        for _ in range(chance.randint(1, 4)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        statuses.add((await post(http, bytes(body))).status_code)
    assert statuses <= {200, 400}
    assert 400 in statuses

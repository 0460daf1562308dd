"""Bad input gets a clear JSON error without a traceback, and the server continues."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from layercode_app import LayerCode, sign
from layercode_app.agent.discovery import discover

from ..calling import SECRET, settings
from ..serving import serve

pytestmark = pytest.mark.anyio

GOOD = {"type": "message", "session_id": "s", "conversation_id": "c", "turn_id": "t", "text": "hello"}
BODY = json.dumps(GOOD).encode()


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = LayerCode(discover().get("echo"), settings=settings(tmp_path))
    async with serve(app) as url, httpx.AsyncClient(base_url=url) as client:
        yield client
        # Whatever a test sent, the next caller is answered.
        answer = await post(client, json.dumps(GOOD | {"turn_id": "afterwards"}).encode())
        assert answer.status_code == 200
        assert "You said: hello" in answer.text


async def post(client: httpx.AsyncClient, body: bytes, header: bytes | None = None) -> httpx.Response:
    signature = sign(body, SECRET).encode() if header is None else header
    headers = [(b"layercode-signature", signature)] if signature else []
    return await client.post("/api/agent", content=body, headers=headers)


# The time at which pytest collects the tests. The suite may reach these tests minutes later, so signatures that must
# be stale or in the future are a whole day off.
NOW = int(time.time())
BAD_SIGNATURES = {
    "none": b"",
    "garbage": b"garbage",
    "half": b"t=1",
    "other half": b"v1=abc",
    "wrong": f"t={NOW},v1={'0' * 64}".encode(),
    "another secret": sign(BODY, "test-other").encode(),
    "stale": sign(BODY, SECRET, timestamp=NOW - 86_400).encode(),
    "future": sign(BODY, SECRET, timestamp=NOW + 86_400).encode(),
    "non-ASCII": f"t={NOW},v1=ünïcode".encode(),
    "huge time": b"t=" + b"9" * 5000 + b",v1=00",
}


@pytest.mark.parametrize("header", BAD_SIGNATURES.values(), ids=BAD_SIGNATURES)
async def test_a_bad_signature_is_401_with_a_reason(http: httpx.AsyncClient, header: bytes) -> None:
    answer = await post(http, BODY, header)
    assert answer.status_code == 401
    assert "signature" in answer.json()["error"]
    assert "Traceback" not in answer.text


BAD_BODIES = {
    "not UTF-8": b"\xff\xfe",
    "not JSON": b"hello",
    "empty": b"",
    "a list": b"[]",
    "a number": b"5",
    "no ids": json.dumps({"type": "message", "text": "x"}).encode(),
    "no conversation": json.dumps(GOOD | {"conversation_id": None}).encode(),
    "no session": json.dumps({k: v for k, v in GOOD.items() if k != "session_id"}).encode(),
    "no turn": json.dumps({k: v for k, v in GOOD.items() if k != "turn_id"}).encode(),
    "text of a wrong type": json.dumps(GOOD | {"text": 5}).encode(),
    "type of a wrong type": json.dumps(GOOD | {"type": 5}).encode(),
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
async def test_a_body_that_is_no_event_is_400_with_a_reason(http: httpx.AsyncClient, body: bytes) -> None:
    answer = await post(http, body)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert "Traceback" not in answer.text


async def test_a_body_over_the_limit_is_413(http: httpx.AsyncClient) -> None:
    answer = await post(http, b"x" * 10_000_000)
    assert answer.status_code == 413
    assert "1000000" in answer.json()["error"]


async def test_a_body_over_the_limit_whose_length_is_not_stated_is_413(http: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100_000

    answer = await http.post("/api/agent", content=chunks())
    assert answer.status_code == 413


async def test_unknown_events_and_fields_are_accepted(http: httpx.AsyncClient) -> None:
    unknown = await post(http, json.dumps(GOOD | {"type": "user.mood", "mood": 1}).encode())
    assert (unknown.status_code, unknown.json()) == (200, {"ok": True})
    extended = await post(http, json.dumps(GOOD | {"turn_id": "x", "novelty": {"a": [1]}}).encode())
    assert extended.status_code == 200
    assert "You said: hello" in extended.text


async def test_an_unknown_agent_is_404_and_says_which_there_are(http: httpx.AsyncClient) -> None:
    answer = await http.post("/api/agents/nobody", content=BODY)
    assert answer.status_code == 404
    assert "echo" in answer.json()["error"]


async def test_another_method_on_the_webhook_is_405(http: httpx.AsyncClient) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = await http.request(method, "/api/agent")
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"


async def test_health_and_readiness(http: httpx.AsyncClient) -> None:
    assert (await http.get("/health")).json()["status"] == "ok"
    report = (await http.get("/ready")).json()
    assert report["status"] == "ok"
    assert set(report["components"]) >= {"agents", "journal"}

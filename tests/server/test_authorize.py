"""`/api/authorize` limits who may open a session, for which agent and how often, and never reveals the key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from loguru import logger

from layercode_app import AuthorizeRequest, LayerCode, RefusedError, Turn, VoiceAgent
from layercode_app.emulator.app import create_emulator
from layercode_app.emulator.webhooks import WebhookClient

from ..calling import SECRET, settings
from ..platform.far_side import HALF_A_BODY, NOT_JSON, NOTHING, FarSide, answer, far_side
from ..serving import serve

pytestmark = pytest.mark.anyio

KEY = "test-api-key-3f9a"
GRANTED = answer(200, {"client_session_key": "test-session", "conversation_id": "c1", "config": {"a": 1}, "more": 2})


def echo() -> VoiceAgent[Any, Any]:
    agent = VoiceAgent("echo")

    @agent.on_message
    async def say_metadata(turn: Turn) -> str:
        return json.dumps(turn.metadata)

    return agent


@dataclass
class Page:
    """A page that asks for sessions.

    `seen` collects the text and the headers of each response, and all log lines.
    """

    url: str
    client: httpx.AsyncClient
    far: FarSide
    seen: list[str]

    async def ask(self, body: Any = None, *, origin: str | None = None, **options: Any) -> httpx.Response:
        headers = {"origin": origin} if origin else {}
        content = body if isinstance(body, bytes) else json.dumps({"agent_id": "a1"} if body is None else body)
        response = await self.client.post(self.url + "/api/authorize", content=content, headers=headers, **options)
        self.seen += [response.text, str(response.headers)]
        return response


@asynccontextmanager
async def page(
    tmp_path: Path, *answers: bytes, agent: VoiceAgent[Any, Any] | None = None, **given: Any
) -> AsyncIterator[Page]:
    seen: list[str] = []
    sink = logger.add(lambda line: seen.append(str(line)), level="TRACE")
    try:
        async with far_side(*(answers or (GRANTED,))) as far, httpx.AsyncClient() as client:
            values = {"api_key": KEY, "api_url": far.url, "agent_id": "a1", "api_timeout": 2.0, **given}
            async with serve(LayerCode(agent or echo(), settings=settings(tmp_path, **values))) as url:
                yield Page(url, client, far, seen)
    finally:
        logger.remove(sink)
    assert not [text for text in seen if KEY in text], "the key came out"


async def test_the_platforms_answer_is_passed_on_and_the_key_goes_to_the_platform_only(tmp_path: Path) -> None:
    async with page(tmp_path) as asking:
        got = await asking.ask({"agent_id": "a1", "conversation_id": "c1", "metadata": {"x": 1}, "sdk_version": "2"})

    assert got.status_code == 200
    assert got.json() == {
        "client_session_key": "test-session", "conversation_id": "c1", "config": {"a": 1}, "more": 2,
    }  # fmt: skip
    assert asking.far.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert asking.far.asked[0].json == {
        "agent_id": "a1", "conversation_id": "c1", "metadata": {"x": 1}, "sdk_version": "2",
    }  # fmt: skip


async def test_half_a_character_and_a_huge_number_in_metadata_cost_no_call(tmp_path: Path) -> None:
    async with page(tmp_path) as asking:
        got = await asking.ask(b'{"agent_id": "a1", "metadata": {"name": "\\ud83d", "n": %d}}' % (10**400))
    assert got.status_code == 200
    assert asking.far.asked[0].json["metadata"] == {"name": "\ufffd", "n": str(10**400)}


@pytest.mark.parametrize(
    ("rules", "origin", "status"),
    [
        ((), "https://evil.example", 403),
        ((), "null", 403),
        (("https://shop.example",), "https://shop.example", 200),
        (("https://shop.example",), "http://shop.example", 403),
        (("https://shop.example",), "https://shop.example.evil.example", 403),
        (("https://shop.example",), "https://evil.example", 403),
        (("http://localhost:*",), "http://localhost:5173", 200),
        (("http://localhost:*",), "http://localhost.evil.example:5173", 403),
        (("http://localhost:*",), "http://localhost:5173.evil.example", 403),
        (("*",), "https://anyone.example", 200),
        ((), None, 200),
    ],
)
async def test_only_listed_pages_are_served(
    tmp_path: Path, rules: tuple[str, ...], origin: str | None, status: int
) -> None:
    async with page(tmp_path, authorize_origins=rules) as asking:
        got = await asking.ask(origin=origin)
        before = await asking.client.options(
            asking.url + "/api/authorize",
            headers={"access-control-request-headers": "content-type,authorization"}
            | ({"origin": origin} if origin else {}),
        )

    assert got.status_code == status
    assert bool(asking.far.asked) is (status == 200)
    if status == 200:
        assert got.headers.get("access-control-allow-origin") == origin
        assert before.status_code == 204
        assert before.headers["access-control-allow-headers"] == "content-type,authorization"
        named = origin is not None and rules != ("*",)
        assert (got.headers.get("access-control-allow-credentials") == "true") is named
    else:
        assert before.status_code == 403
        assert "access-control-allow-origin" not in {*got.headers, *before.headers}
        assert "LAYERCODE_AUTHORIZE_ORIGINS" in got.json()["error"]


async def test_its_own_host_may_always_ask(tmp_path: Path) -> None:
    async with page(tmp_path) as asking:
        got = await asking.ask(origin=asking.url)
    assert got.status_code == 200


@pytest.mark.parametrize(
    ("given", "agent_id", "status"),
    [
        ({}, "a1", 200),
        ({}, "a2", 403),
        ({"authorize_agents": ("a2", "a3")}, "a3", 200),
        ({"authorize_agents": ("a2", "a3")}, "a1", 403),
        ({"authorize_agents": ("*",)}, "a9", 200),
        ({"agent_id": None}, "a1", 403),
        ({"agent_id": None}, None, 400),
    ],
)
async def test_only_listed_agents_are_served(
    tmp_path: Path, given: dict[str, Any], agent_id: str | None, status: int
) -> None:
    async with page(tmp_path, **given) as asking:
        got = await asking.ask({"agent_id": agent_id} if agent_id else {})
    assert got.status_code == status
    assert bool(asking.far.asked) is (status == 200)


async def test_a_flood_from_one_client_is_refused_and_others_are_served(tmp_path: Path) -> None:
    async with page(tmp_path, authorize_rate="5/minute") as asking:
        got = await asyncio.gather(*(asking.ask() for _ in range(20)))
        # The proxy on this machine is trusted to say who the client is.
        other = await asking.ask(extensions={}, origin=None)
        async with httpx.AsyncClient(headers={"x-forwarded-for": "203.0.113.9"}) as client:
            elsewhere = await client.post(asking.url + "/api/authorize", json={"agent_id": "a1"})

    assert sorted(response.status_code for response in got) == [200] * 5 + [429] * 15
    assert other.status_code == 429
    assert int(other.headers["retry-after"]) >= 1
    assert "LAYERCODE_AUTHORIZE_RATE is 5/minute" in other.json()["error"]
    assert elsewhere.status_code == 200
    assert len(asking.far.asked) == 6


async def test_an_empty_rate_is_no_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERCODE_AUTHORIZE_RATE", "")
    async with page(tmp_path) as asking:
        got = [(await asking.ask()).status_code for _ in range(25)]
    assert got == [200] * 25


async def test_oversized_and_malformed_bodies_are_refused(tmp_path: Path) -> None:
    async with page(tmp_path, authorize_body_limit=100, authorize_rate="") as asking:
        big = await asking.ask({"agent_id": "a1", "metadata": {"x": "y" * 200}})
        broken = [await asking.ask(body) for body in (b"{", b"[]", b"\xff", b'{"agent_id": 1}')]
        wrong = await asking.ask({"agent_id": "a1", "metadata": "x"})

    assert big.status_code == 413
    assert [response.status_code for response in [*broken, wrong]] == [400] * 5
    assert not asking.far.asked


async def test_unknown_fields_stay_here_unless_allowed(tmp_path: Path) -> None:
    wanted = {"agent_id": "a1", "config": {"voice": "dear"}, "custom_headers": {"x": "y"}, "admin": True, "theme": "z"}
    async with page(tmp_path, authorize_fields=("theme",)) as asking:
        await asking.ask(wanted)
    assert asking.far.asked[0].json == {"agent_id": "a1", "theme": "z"}


async def test_the_hook_says_who_it_is_and_what_is_asked_for(tmp_path: Path) -> None:
    agent = echo()

    @agent.on_authorize
    async def who(request: AuthorizeRequest) -> None:
        if request.headers.get("authorization") != "Bearer test-user":
            raise RefusedError("Sign in first.", status=401)
        request.metadata["user"] = "Ann"
        request.config["locale"] = "en"
        request.custom_headers["x-tenant"] = "7"
        request.custom_metadata["plan"] = "gold"

    async with page(tmp_path, agent=agent) as asking:
        stranger = await asking.ask({"agent_id": "a1", "metadata": {"user": "root"}})
        asking.client.headers["authorization"] = "Bearer test-user"
        known = await asking.ask({"agent_id": "a1", "metadata": {"user": "root", "page": "home"}})
        async with WebhookClient(asking.url + "/api/agent", SECRET) as platform:
            event = {"type": "message", "text": "hi", "turn_id": "t", "conversation_id": "c1", "session_id": "s"}
            async with platform.deliver(event) as reply:
                spoken = "".join([str(f.content) async for f in reply.frames() if f.type == "response.tts"])

    assert (stranger.status_code, stranger.json()) == (401, {"error": "Sign in first."})
    assert known.status_code == 200
    assert [asked.json for asked in asking.far.asked] == [
        {
            "agent_id": "a1",
            "metadata": {"user": "Ann", "page": "home"},
            "config": {"locale": "en"},
            "custom_headers": {"x-tenant": "7"},
            "custom_metadata": {"plan": "gold"},
        }
    ]
    assert json.loads(spoken) == {"user": "Ann", "page": "home", "plan": "gold"}


async def test_a_hook_that_fails_lets_nobody_in(tmp_path: Path) -> None:
    agent = echo()

    @agent.on_authorize
    async def broken(request: AuthorizeRequest) -> None:
        raise KeyError("password=hunter2")

    async with page(tmp_path, agent=agent) as asking:
        got = await asking.ask()
    assert got.status_code == 500
    assert "hunter2" not in got.text
    assert not asking.far.asked


async def test_a_hook_that_hangs_is_ended(tmp_path: Path) -> None:
    agent = echo()

    @agent.on_authorize
    async def slow(request: AuthorizeRequest) -> None:
        await asyncio.sleep(1000)

    async with page(tmp_path, agent=agent, hook_timeout=0.05) as asking:
        got = await asking.ask()
    told = "The agent took too long to handle authorize: LAYERCODE_HOOK_TIMEOUT is 0.05 s."
    assert (got.status_code, got.json()) == (504, {"error": told})
    assert not asking.far.asked


async def test_a_timeout_of_the_hook_itself_is_a_failure(tmp_path: Path) -> None:
    agent = echo()

    @agent.on_authorize
    async def impatient(request: AuthorizeRequest) -> None:
        raise TimeoutError

    async with page(tmp_path, agent=agent) as asking:
        got = await asking.ask()
    assert (got.status_code, got.json()) == (500, {"error": "The server could not check this request."})
    assert not asking.far.asked


@pytest.mark.parametrize("status", [400, 401, 402, 404, 429, 500])
async def test_the_platforms_refusal_is_passed_on_without_the_key(tmp_path: Path, status: int) -> None:
    async with page(tmp_path, answer(status, {"error": f"bad key {KEY}"})) as asking:
        got = await asking.ask(origin=asking.url)
    assert (got.status_code, got.json()) == (status, {"error": "bad key [key]"})
    assert got.headers["access-control-allow-origin"] == asking.url
    assert len(asking.far.asked) == 1, "a call that spends money is never tried again"


@pytest.mark.parametrize("broken", [NOTHING, HALF_A_BODY, NOT_JSON, answer(200, {"hello": KEY})])
async def test_an_answer_that_makes_no_sense_is_a_502(tmp_path: Path, broken: bytes) -> None:
    async with page(tmp_path, broken) as asking:
        got = await asking.ask()
    assert (got.status_code, list(got.json())) == (502, ["error"])


async def test_a_key_that_the_platform_echoes_is_hidden(tmp_path: Path) -> None:
    echoed = answer(200, {"client_session_key": "s", "conversation_id": "c", "config": {}, "debug": f"with {KEY}"})
    async with page(tmp_path, echoed) as asking:
        got = await asking.ask()
    assert got.json()["debug"] == "with [key]"


async def test_without_a_key_it_says_so(tmp_path: Path) -> None:
    async with page(tmp_path, api_key=None) as asking:
        got = await asking.ask()
    assert got.status_code == 503
    assert "LAYERCODE_API_KEY" in got.json()["error"]


async def test_json_answers_carry_security_headers_and_streams_do_not_lose_theirs(tmp_path: Path) -> None:
    async with page(tmp_path) as asking:
        answers = [
            await asking.ask(),
            await asking.client.get(asking.url + "/health"),
            await asking.client.get(asking.url + "/nowhere"),
            await asking.client.post(asking.url + "/api/agent", content=b"{}"),
        ]
    for got in answers:
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["x-frame-options"] == "DENY"
        assert got.headers["cache-control"] == "no-store"


async def test_the_emulator_grants_a_session(tmp_path: Path) -> None:
    async with (
        serve(create_emulator("http://127.0.0.1:1", SECRET, api_key=KEY)) as platform,
        page(tmp_path, api_url=f"{platform}/v1") as asking,
    ):
        got = await asking.ask()
    assert got.status_code == 200
    assert got.json()["config"]["transcription"]["trigger"] == "automatic"

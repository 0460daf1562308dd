"""A development server has agents, emulator and page on one port, and refuses foreign hosts and origins."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from layercode_app import LayerCode, VoiceAgent
from layercode_app.dev.app import DevApp
from layercode_app.dev.serve import DevOptions, make_dev_app
from layercode_app.emulator.session import Session
from layercode_app.emulator.speech import Silence

from ..calling import settings
from ..processes import run
from ..serving import serve
from .serving import dev_server

pytestmark = pytest.mark.anyio


def client(app: DevApp, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=app.url, headers=headers, trust_env=False, timeout=100)


async def talk(app: DevApp, *words: str, conversation_id: str | None = None) -> Session:
    """Hold a whole call through the emulator."""
    grant = app.emulator.authorize("shop", conversation_id=conversation_id)
    session = app.emulator.open(grant, send=lambda _: None, hang_up=lambda _: None)
    session.receive({"type": "client.ready"})
    await session.idle()
    for text in words:
        session.receive({"type": "client.response.text", "content": text})
        await session.idle()
    await app.emulator.close(session)
    return session


async def get(app: DevApp, path: str) -> Any:
    async with client(app) as http:
        answer = await http.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_api_shows_a_call_as_the_journal_has_it(tmp_path: Path) -> None:
    async with dev_server(tmp_path, voice=Silence(pace=100)) as app:
        call = (await talk(app, "one cake", "hello")).conversation_id
        listed = await get(app, "/dev/api/conversations")
        shown = await get(app, f"/dev/api/conversations/{call}")
        spoken = [turn for turn in shown["turns"] if turn["kind"] in ("greeting", "message")]
        turn = await get(app, f"/dev/api/conversations/{call}/turns/{spoken[1]['turn_id']}")

    assert [row["conversation_id"] for row in listed["conversations"]] == [call]
    assert listed["all"]["ttfs"]["count"] == listed["all"]["ttfs_with_tools"]["count"] == 1
    assert [turn["spoken_text"] for turn in spoken] == [
        "Welcome to the shop.",
        "Certainly, 1 cakes sold so far.",
        "You said: hello.",
    ]
    assert [part["part_kind"] for message in turn["messages"] for part in message["parts"]] == [
        "user-prompt",
        "tool-call",
        "tool-return",
        "text",
    ]
    assert turn["tools"][0]["result"] == "1 cakes sold so far"
    assert turn["frames"][-1]["type"] == "response.end"
    times = turn["timings"]
    assert 0 < times["verified"] <= times["history"] <= times["ttft"] <= times["ttfs"] <= times["total"]


async def test_a_fork_through_the_page_sells_nothing(tmp_path: Path) -> None:
    async with dev_server(tmp_path, voice=Silence(pace=100)) as app:
        call = (await talk(app, "one cake")).conversation_id
        shown = await get(app, f"/dev/api/conversations/{call}")
        turn_id = next(turn["turn_id"] for turn in shown["turns"] if turn["user_text"])
        async with client(app) as http:
            asked = {"conversation_id": call, "turn_id": turn_id, "say": ["another cake"], "prompt": "Sell nothing."}
            fork = (await http.post("/dev/api/fork", json=asked)).json()
            wrong = await http.post("/dev/api/fork", json=asked | {"turn_id": "nowhere"})
        after = await get(app, f"/dev/api/conversations/{call}")

    new = fork["turns"][0]["new"]
    assert (new["user_text"], new["text"]) == ("another cake", "Certainly, 1 cakes sold so far.")
    assert new["tools"][0]["answered_by"] == "recording"
    assert (wrong.status_code, "from 1 to 2" in wrong.json()["error"]) == (400, True)
    assert len(after["turns"]) == len(shown["turns"])


async def test_the_page_opens_a_session_or_is_told_why_not(tmp_path: Path) -> None:
    async with dev_server(tmp_path) as app, client(app) as http:
        granted = await http.post("/dev/api/sessions", json={"agent": "shop"})
        unknown = await http.post("/dev/api/sessions", json={"agent": "nobody"})
        await http.put("/emulator/faults", json={"authorize_status": 402})
        broke = await http.post("/dev/api/sessions", json={"agent": "shop"})

    assert granted.json()["config"]["transcription"]["trigger"] == "automatic"
    assert unknown.status_code == 400
    assert "nobody" in unknown.json()["error"]
    assert broke.status_code == 402


async def test_the_own_authorize_endpoint_asks_the_emulator(tmp_path: Path) -> None:
    async with dev_server(tmp_path) as app, client(app) as http:
        answer = await http.post("/api/authorize", json={"agent_id": "shop"}, headers={"origin": app.url})
        assert answer.status_code == 200, answer.text
        key = answer.json()["client_session_key"]
        address = app.url.replace("http", "ws") + "/v1/agents/web/websocket"
        async with connect(f"{address}?client_session_key={key}") as socket:
            await socket.send('{"type": "client.ready"}')
            assert "turn.start" in str(await asyncio.wait_for(socket.recv(), 100))


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"host": "evil.example"}, "not this machine"),
        ({"host": "127.0.0.1.evil.example"}, "not this machine"),
        ({"host": "[::1"}, "not this machine"),
        ({"origin": "https://evil.example"}, "not a page of this machine"),
        ({"origin": "null"}, "not a page of this machine"),
        ({"x-forwarded-for": "203.0.113.9"}, "forwarded"),
    ],
)
async def test_strangers_reach_neither_page_nor_api_nor_emulator(
    tmp_path: Path, headers: dict[str, str], reason: str
) -> None:
    async with dev_server(tmp_path) as app, client(app, **headers) as http:
        for path in ("/", "/dev/api/conversations", "/dev/static/js/main.js", "/v1/agents", "/emulator/faults"):
            answer = await http.get(path)
            assert (answer.status_code, reason in answer.json()["error"]) == (403, True)
        for path in ("/api/authorize", "/api/authorize/"):
            answer = await http.post(path, json={"agent_id": "shop"})
            assert (answer.status_code, reason in answer.json()["error"]) == (403, True)
        assert (await http.get("/health")).status_code == 200
        address = app.url.replace("http", "ws") + "/v1/agents/web/websocket"
        if "host" not in headers:
            with pytest.raises(InvalidStatus, match="403"):
                await connect(address, additional_headers=headers)


async def test_a_form_of_another_page_changes_nothing(tmp_path: Path) -> None:
    async with dev_server(tmp_path) as app, client(app) as http:
        for path in ("/dev/api/fork", "/dev/api/sessions", "/v1/agents"):
            answer = await http.post(path, content="{}", headers={"content-type": "text/plain"})
            assert answer.status_code == 415
        preflight = await http.options("/dev/api/fork", headers={"origin": "http://localhost:9", "x": "y"})
    assert "access-control-allow-origin" not in preflight.headers


async def test_words_can_be_heard_again(tmp_path: Path) -> None:
    async with dev_server(tmp_path, voice=Silence()) as app, client(app) as http:
        answer = await http.post("/dev/api/speech", json={"text": "A second or so of words."})
        wrong = await http.post("/dev/api/speech", json={"words": ""})
    assert 16_000 < len(answer.content) < 160_000
    assert wrong.status_code == 400


async def test_a_production_app_has_no_page(tmp_path: Path) -> None:
    app = LayerCode(VoiceAgent("alone", greeting="Hi."), settings=settings(tmp_path))
    async with serve(app) as url, httpx.AsyncClient(base_url=url, trust_env=False) as http:
        for path in ("/", "/dev/api/agents", "/dev/static/js/main.js", "/v1/agents", "/emulator/faults"):
            assert (await http.get(path)).status_code == 404


async def test_the_live_feed_tells_of_a_turn_while_it_streams_and_ends_with_the_server(tmp_path: Path) -> None:
    seen: list[str] = []

    async def watch(app: DevApp, ready: asyncio.Event) -> None:
        async with client(app) as http, http.stream("GET", "/dev/api/live", timeout=None) as stream:
            async for line in stream.aiter_lines():
                ready.set()
                seen.append(line)

    async with asyncio.timeout(100):
        async with dev_server(tmp_path, voice=Silence(pace=100)) as app:
            ready = asyncio.Event()
            watching = asyncio.create_task(watch(app, ready))
            await ready.wait()
            await talk(app, "hello")
        # The server has stopped although the stream was open.
        await watching
    told = "\n".join(seen)
    assert all(kind in told for kind in ('"kind":"frame"', '"kind":"turn"', '"kind":"journal"', '"kind":"session"'))


def test_faults_silence_and_voice_are_chosen_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAYERCODE_WEBHOOK_SECRET", "test-secret")
    options = DevOptions("echo", fault="duplicate,status=402", session_timeout=5, voice="silence")
    emulator = make_dev_app(options, "http://127.0.0.1:8000").emulator
    assert (emulator.faults.duplicate, emulator.faults.authorize_status) == (True, 402)
    assert isinstance(emulator.voice, Silence)
    assert {agent.session_timeout for agent in emulator.agents.values()} == {5}
    code, output = run("dev", "--agent", "echo", "--port", "0", "--fault", "explode", cwd=tmp_path)
    assert (code, "There is no fault 'explode'" in output) == (2, True), output


def test_the_console_shows_the_notices_of_the_emulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warned: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAYERCODE_WEBHOOK_SECRET", "test-secret")
    emulator = make_dev_app(DevOptions("echo"), "http://127.0.0.1:8000").emulator
    emulator.feed.publish({"kind": "notice", "text": "Speech recognition failed: whisper took longer than 30 s."})
    emulator.feed.publish({"kind": "turn", "text": "not for the console"})
    assert warned == ["Speech recognition failed: whisper took longer than 30 s."]


def test_a_notice_that_nothing_reads_raises_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAYERCODE_WEBHOOK_SECRET", "test-secret")
    feed = make_dev_app(DevOptions("echo"), "http://127.0.0.1:8000").emulator.feed
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w", buffering=1) as closed, suppress(BrokenPipeError):
        monkeypatch.setattr("sys.stderr", closed)
        feed.publish({"kind": "notice", "text": "Speech recognition failed."})
        monkeypatch.undo()


HOOKED = """
from pathlib import Path
from layercode_app import SessionEnd, VoiceAgent

agent = VoiceAgent("hooked", greeting="Hello.")

@agent.on_session_end
async def write(event: SessionEnd) -> None:
    Path(__file__).with_name("ended.txt").write_text(event.session_id)
"""


async def test_a_call_that_runs_when_the_server_stops_ends_like_any_other(tmp_path: Path) -> None:
    folder = tmp_path / "agents"
    folder.mkdir()
    (folder / "hooked.py").write_text(HOOKED)
    answered: list[str] = []
    async with dev_server(tmp_path, agents=folder, agent="hooked", voice=Silence(pace=100)) as app:
        app.emulator.feed.listeners.append(
            lambda item: answered.append(item["event"]["type"]) if item["kind"] == "answer" else None
        )
        session = app.emulator.open(app.emulator.authorize("hooked"), send=lambda _: None, hang_up=lambda _: None)
        session.receive({"type": "client.ready"})
        await session.idle()
    assert answered == ["session.start", "session.end", "session.update"]
    assert (folder / "ended.txt").read_text() == session.id

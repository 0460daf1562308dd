"""Every method of the REST client, against the emulator and against a server that returns every kind of error."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route

from layercode_app import ConfigurationError, LayerCode, PlatformAPIError, VoiceAgent
from layercode_app.emulator.app import create_emulator
from layercode_app.platform.client import PlatformClient
from layercode_app.platform.recording import download
from layercode_app.platform.transport import RETRIES

from ..calling import SECRET, settings
from ..serving import serve
from .client_of import KEY, client_of
from .far_side import HALF_A_BODY, NOT_JSON, NOTHING, FarSide, answer

pytestmark = pytest.mark.anyio


def recording(client: PlatformClient) -> Any:
    return download(client, "a1", "s1", Path("never-written.wav"))


Call = Callable[[PlatformClient], Awaitable[Any]]
SAFE: dict[str, Call] = {
    "agents": lambda client: client.agents(),
    "agent": lambda client: client.agent("a1"),
    "session": lambda client: client.session("a1", "s1"),
    "recording": recording,
}
UNSAFE: dict[str, Call] = {
    "create_agent": lambda client: client.create_agent(),
    "set_webhook": lambda client: client.set_webhook("a1", "https://x.example"),
    "authorize_session": lambda client: client.authorize_session({"agent_id": "a1"}),
    "call": lambda client: client.call("a1", from_number="+15550001", to_number="+15550002"),
}
CALLS = SAFE | UNSAFE


@pytest.fixture(params=CALLS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


REFUSALS = {
    400: "Check the key, the ids",
    401: "LAYERCODE_API_KEY is not accepted",
    402: "top it up",
    404: "check the ids and LAYERCODE_API_URL",
    429: "wait and try again",
    500: "try again later",
}


@pytest.mark.parametrize("status", REFUSALS)
async def test_a_refusal_says_the_status_the_reason_and_the_remedy(
    far: FarSide, client: PlatformClient, name: str, status: int
) -> None:
    far.will_answer(answer(status, {"error": f"because of {KEY}"}))
    with pytest.raises(PlatformAPIError) as caught:
        await CALLS[name](client)

    assert caught.value.status == status
    assert caught.value.reason == "because of [key]"
    assert str(status) in str(caught.value)
    assert "because of [key]" in str(caught.value)
    assert REFUSALS[status] in str(caught.value)
    again = name in SAFE and status in (429, 500)
    assert len(far.asked) == (1 + RETRIES if again else 1), "only safe calls are tried again"
    assert {asked.headers["authorization"] for asked in far.asked} == {f"Bearer {KEY}"}


@pytest.mark.parametrize("broken", [NOTHING, HALF_A_BODY, NOT_JSON, answer(200, []), answer(200, raw=b"[" * 100_000)])
async def test_an_answer_that_makes_no_sense_is_one_clear_error(
    far: FarSide, client: PlatformClient, name: str, broken: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    far.will_answer(broken)
    with pytest.raises(PlatformAPIError) as caught:
        await CALLS[name](client)
    assert str(caught.value).startswith(("The platform", "The download of the recording"))
    assert KEY not in str(caught.value)


async def test_nobody_there(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with client_of("http://127.0.0.1:1/v1") as client:
        with pytest.raises(PlatformAPIError, match=r"LAYERCODE_API_URL|was interrupted"):
            await CALLS[name](client)


async def test_a_platform_that_says_nothing_is_given_up_in_time() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server, client_of(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout=0.1) as client:
        with pytest.raises(PlatformAPIError, match="LAYERCODE_API_TIMEOUT"):
            await client.create_agent()


async def test_a_safe_call_is_tried_again_and_a_stated_pause_is_obeyed(far: FarSide) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    far.will_answer(
        answer(429, {"error": "slow"}, retry_after="7"), NOTHING, answer(503), answer(200, {"agents": [{"id": "a1"}]})
    )
    async with client_of(far.url, sleep=sleep) as client:
        assert [agent.id for agent in await client.agents()] == ["a1"]
    assert pauses[0] == 7
    assert 0.8 <= pauses[1] <= 1.2
    assert 1.6 <= pauses[2] <= 2.4


async def test_the_webhook_is_found_in_both_places(far: FarSide, client: PlatformClient) -> None:
    plugins = [{"use": "other"}, {"use": "agent.webhook", "options": {"url": "https://in.plugin"}}]
    far.will_answer(
        answer(200, {"id": "a1", "webhook_url": "https://own.field"}),
        answer(200, {"id": "a1", "config": {"plugins": plugins}}),
        answer(200, {"id": "a1", "webhook_url": None, "config": None, "new": "field"}),
    )
    assert [(await client.agent("a1")).webhook_url for _ in range(3)] == [
        "https://own.field",
        "https://in.plugin",
        None,
    ]


async def test_both_shapes_of_a_transcript_are_read(far: FarSide, client: PlatformClient) -> None:
    far.will_answer(
        answer(200, {"transcript": [{"role": "user", "text": "hi", "timestamp": 1700000000000}]}),
        answer(200, {"transcript": [
            {"timestamp": "2026-01-01T00:00:00Z", "user_message": "hi", "assistant_message": "hello", "latency_ms": 80},
            {"timestamp": None, "user_message": None, "assistant_message": "bye"},
        ]}),
        answer(200, {"transcript": None, "recording_status": "in_progress"}),
    )  # fmt: skip
    lines = [[(line.role, line.text) for line in (await client.session("a", "s")).transcript] for _ in range(3)]
    assert lines == [[("user", "hi")], [("user", "hi"), ("assistant", "hello"), ("assistant", "bye")], []]


async def test_ids_cannot_leave_their_place_in_the_path(far: FarSide, client: PlatformClient) -> None:
    far.will_answer(answer(200, {"id": "x"}))
    await client.agent("../a b?c=d")
    assert far.asked[0].path == "/v1/agents/..%2Fa%20b%3Fc%3Dd"


async def test_a_recording_goes_on_where_it_broke_off(far: FarSide, client: PlatformClient, tmp_path: Path) -> None:
    wav = b"RIFF" + bytes(range(256)) * 40
    half = answer(200, raw=wav)[: -len(wav) // 2]
    far.will_answer(half, answer(206, raw=wav[len(wav) // 2 :], content_range="bytes"))
    seen: list[tuple[int, int | None]] = []
    size = await download(client, "a1", "s1", tmp_path / "out.wav", progress=lambda have, of: seen.append((have, of)))

    assert (tmp_path / "out.wav").read_bytes() == wav
    assert size == len(wav)
    assert seen[-1] == (len(wav), len(wav))
    assert far.asked[1].headers["range"] == f"bytes={len(wav) // 2}-"
    assert list(tmp_path.iterdir()) == [tmp_path / "out.wav"]


async def test_a_recording_is_taken_from_the_start_where_the_server_cannot_go_on(
    far: FarSide, client: PlatformClient, tmp_path: Path
) -> None:
    (tmp_path / "out.wav.s1.part").write_bytes(b"some other bytes")
    far.will_answer(answer(200, raw=b"RIFF-the-whole"))
    await download(client, "a1", "s1", tmp_path / "out.wav")
    assert (tmp_path / "out.wav").read_bytes() == b"RIFF-the-whole"


async def test_a_recording_that_was_whole_already_is_kept(far: FarSide, client: PlatformClient, tmp_path: Path) -> None:
    (tmp_path / "out.wav.s1.part").write_bytes(b"RIFF-the-whole")
    far.will_answer(answer(416, {"error": "range"}, content_range="bytes */14"))
    assert await download(client, "a1", "s1", tmp_path / "out.wav") == 14


@pytest.mark.parametrize(
    "refusal",
    [
        answer(416, {"error": "range"}, content_range="bytes */9"),
        answer(416, {"error": "range"}),
        answer(206, raw=b"later", content_range="bytes 20-24/25"),
    ],
    ids=["shorter than what is there", "of unknown length", "another part than was asked for"],
)
async def test_what_does_not_fit_the_recording_is_fetched_again(
    far: FarSide, client: PlatformClient, tmp_path: Path, refusal: bytes
) -> None:
    (tmp_path / "out.wav.s1.part").write_bytes(b"RIFF-of-another")
    far.will_answer(refusal, answer(200, raw=b"RIFF-mine"))
    assert await download(client, "a1", "s1", tmp_path / "out.wav") == 9
    assert (tmp_path / "out.wav").read_bytes() == b"RIFF-mine"
    assert "range" not in far.asked[1].headers


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A folder whose files are the recordings of a server that knows ranges and ETags."""
    folder = tmp_path / "at-the-platform"
    folder.mkdir()
    return folder


@asynccontextmanager
async def serving_recordings(folder: Path) -> AsyncIterator[PlatformClient]:
    async def recording(request: Request) -> FileResponse:
        return FileResponse(folder / request.path_params["session"])

    app = Starlette(routes=[Route("/v1/agents/a1/sessions/{session}/recording", recording)])
    async with serve(app) as url, client_of(f"{url}/v1") as client:
        yield client


async def broken_off(far: FarSide, target: Path, session: str, whole: bytes, etag: str) -> None:
    """Let the download of a recording break off in the middle, so that half of the recording stays beside `target`."""
    half = answer(200, raw=whole, etag=etag)[: -len(whole) // 2]
    far.will_answer(half, NOTHING)
    async with client_of(far.url) as client:
        with pytest.raises(PlatformAPIError, match=r"broke (off|the connection)"):
            await download(client, "a1", session, target)


async def test_two_sessions_are_never_mixed_in_one_file(far: FarSide, recordings: Path, tmp_path: Path) -> None:
    target = tmp_path / "call.wav"
    (recordings / "long").write_bytes(b"RIFF" + b"L" * 2000)
    (recordings / "short").write_bytes(b"RIFF" + b"S" * 100)
    await broken_off(far, target, "first", b"RIFF" + b"F" * 1000, '"1"')
    async with serving_recordings(recordings) as client:
        for session in ("long", "short"):
            await download(client, "a1", session, target)
            assert target.read_bytes() == (recordings / session).read_bytes()


async def test_a_recording_that_changed_since_is_taken_from_the_start(
    far: FarSide, recordings: Path, tmp_path: Path
) -> None:
    target = tmp_path / "call.wav"
    (recordings / "s1").write_bytes(b"RIFF" + b"new" * 1000)
    await broken_off(far, target, "s1", b"RIFF" + b"old" * 200, '"of the old one"')
    async with serving_recordings(recordings) as client:
        await download(client, "a1", "s1", target)
    assert target.read_bytes() == (recordings / "s1").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"call.wav", "at-the-platform"}


async def test_the_next_run_goes_on_with_the_same_recording(
    far: FarSide, client: PlatformClient, tmp_path: Path
) -> None:
    wav = b"RIFF" + bytes(range(256)) * 4
    await broken_off(far, tmp_path / "call.wav", "s1", wav, '"v1"')
    half = (tmp_path / "call.wav.s1.part").stat().st_size
    rest = answer(206, raw=wav[half:], content_range=f"bytes {half}-{len(wav) - 1}/{len(wav)}", etag='"v1"')
    far.will_answer(rest)
    await download(client, "a1", "s1", tmp_path / "call.wav")
    assert (far.asked[-1].headers["range"], far.asked[-1].headers["if-range"]) == (f"bytes={half}-", '"v1"')
    assert (tmp_path / "call.wav").read_bytes() == wav


async def test_the_emulator_answers_every_call() -> None:
    async with (
        serve(create_emulator("https://backend.example/hook", "test-secret", api_key=KEY)) as url,
        client_of(f"{url}/v1") as client,
    ):
        first = (await client.agents())[0]
        made = await client.create_agent()
        moved = await client.set_webhook(made.id, "https://new.example/hook")
        granted = await client.authorize_session({"agent_id": first.id, "metadata": {"x": 1}})
        shown = await client.agent(made.id)
        with pytest.raises(PlatformAPIError, match="404"):
            await client.session(first.id, "no-such-session")
        with pytest.raises(PlatformAPIError, match="404"):
            await recording(client)

    assert first.webhook_url == "https://backend.example/hook"
    assert made.webhook_secret
    assert made.webhook_secret not in repr(made)
    assert moved.webhook_url == shown.webhook_url == "https://new.example/hook"
    assert granted.conversation_id
    assert granted.client_session_key not in repr(granted)


async def test_a_call_its_session_and_its_recording_at_the_emulator(tmp_path: Path) -> None:
    backend = LayerCode(VoiceAgent("echo", greeting="Hello!"), settings=settings(tmp_path))
    async with serve(backend) as server:
        emulator = create_emulator(f"{server}/api/agent", SECRET, api_key=KEY, recordings=tmp_path / "recordings")
        async with serve(emulator) as url, client_of(f"{url}/v1") as client:
            conversation = await client.call("agent", from_number="+15550001", to_number="+15550002")
            sessions = emulator.state.emulator.sessions
            deadline = time.monotonic() + 30
            while not sessions or (found := await client.session("agent", next(iter(sessions)))).ended_at is None:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.1)
            while found.recording_status != "completed":
                assert time.monotonic() < deadline, found
                await asyncio.sleep(0.1)
                found = await client.session("agent", next(iter(sessions)))
            size = await download(client, "agent", next(iter(sessions)), tmp_path / "call.wav")

    assert found.conversation_id == conversation
    assert found.duration_ms is not None
    assert [(line.role, line.text) for line in found.transcript] == [("assistant", "Hello!")]
    assert (tmp_path / "call.wav").read_bytes().startswith(b"RIFF")
    assert size == (tmp_path / "call.wav").stat().st_size > 44


async def test_settings_without_a_key_say_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="LAYERCODE_API_KEY"):
        PlatformClient.from_settings(settings(tmp_path))

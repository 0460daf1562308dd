"""The client accepts variants of the platform's responses: odd fields and old locations. It verifies each write."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from layercode_app import ConfigurationError, LayerCode, PlatformAPIError, VoiceAgent
from layercode_app.cli.main import app as cli
from layercode_app.doctor.finding import Finding, State
from layercode_app.doctor.remote import check_platform
from layercode_app.platform.claim import claimed
from layercode_app.platform.client import READ_BACK_PAUSES, PlatformClient
from layercode_app.platform.models import AgentInfo
from layercode_app.platform.tunnel import Tunnel
from layercode_app.server.tunnelling import TunnelBeside
from layercode_app.settings import Settings, load_settings

from ..calling import settings
from ..serving import serve
from .client_of import KEY
from .far_side import NOT_JSON, FarSide, answer

pytestmark = pytest.mark.anyio

OLD, NEW = "https://old.example/api/agent", "https://new.example/api/agent"


def plugin(options: object) -> dict[str, Any]:
    return {"plugins": [5, None, {"use": "tts.rime", "options": "x"}, {"use": "agent.webhook", "options": options}]}


# --- reading


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"config": plugin({"url": OLD})}, OLD),
        ({"config": plugin(OLD)}, OLD),
        ({"config": plugin(json.dumps({"url": OLD}))}, OLD),
        ({"config": plugin("see the dashboard")}, None),
        ({"config": plugin("{")}, None),
        ({"config": plugin({"url": 5})}, None),
        ({"config": plugin([OLD])}, None),
        ({"config": {"endpoint": OLD}}, OLD),
        ({"config": {"endpoint": {"url": OLD}}}, OLD),
        ({"config": {"endpoint": OLD} | plugin({"url": NEW})}, NEW),
        ({"config": {"endpoint": OLD}, "webhook_url": NEW}, NEW),
        ({"config": {"endpoint": OLD}, "webhook_url": ""}, OLD),
        ({"config": {"plugins": {"use": "agent.webhook"}}}, None),
        ({"config": "none", "webhook_url": {"url": OLD}}, None),
        ({"config": [1], "name": 7, "webhook_secret": []}, None),
        ({}, None),
    ],
)
def test_a_webhook_is_found_wherever_it_stands(fields: dict[str, Any], url: str | None) -> None:
    assert AgentInfo.model_validate({"id": "a1", **fields}).webhook_url == url


async def test_one_odd_agent_does_not_hide_the_others(far: FarSide, client: PlatformClient, warned: list[str]) -> None:
    odd = [
        {"id": "a1", "config": plugin("text")},
        {"id": 2, "name": None, "config": "x"},
        {"name": "no id"},
        "agent",
        None,
    ]
    far.will_answer(answer(200, {"agents": [*odd, {"id": "a3", "webhook_url": OLD}]}))
    found = [(agent.id, agent.webhook_url) for agent in await client.agents()]
    assert found == [("a1", None), ("2", None), ("a3", OLD)]
    assert len(warned) == 3


async def test_an_odd_session_is_shown_as_far_as_it_can_be_read(far: FarSide, client: PlatformClient) -> None:
    lines = [5, {"role": None, "text": "hi \ud83d"}, {"role": "user"}, {"user_message": 5, "assistant_message": "bye"}]
    odd = {"session_id": 7, "started_at": [], "duration_ms": "n/a", "latency_ms": "12.5", "recording_status": {}}
    far.will_answer(answer(200, {**odd, "ended_at": 10**400, "transcript": lines}), answer(200, {"transcript": "none"}))
    session = await client.session("a1", "s1")
    assert (session.id, session.started_at, session.duration_ms, session.latency_ms) == ("7", None, None, 12.5)
    assert (session.ended_at, session.recording_status) == (None, None)
    assert [(line.role, line.text) for line in session.transcript] == [("unknown", "hi \ufffd"), ("assistant", "bye")]
    assert (await client.session("a1", "s1")).transcript == []


async def test_a_grant_is_read_in_both_spellings(far: FarSide, client: PlatformClient) -> None:
    far.will_answer(answer(200, {"clientSessionKey": "k", "conversationId": "c", "config": None}))
    granted = await client.authorize_session({"agent_id": "a1"})
    assert granted.model_dump(exclude_unset=True) == {"client_session_key": "k", "conversation_id": "c", "config": {}}


# --- writing


async def test_a_change_that_did_not_persist_is_an_error_with_both_urls(far: FarSide, client: PlatformClient) -> None:
    far.will_answer(answer(200, {"id": "a1", "webhook_url": NEW}), answer(200, {"id": "a1", "webhook_url": OLD}))
    with pytest.raises(PlatformAPIError, match=f"accepted {NEW} .* still {OLD}. Set it in the platform's dashboard"):
        await client.set_webhook("a1", NEW)
    assert [asked.method for asked in far.asked] == ["POST", *["GET"] * (1 + len(READ_BACK_PAUSES))]


@pytest.mark.parametrize(
    "first", [answer(200, {"id": "a1"}), answer(204, raw=b""), NOT_JSON], ids=["", "empty", "html"]
)
async def test_a_change_that_shows_late_or_spelt_otherwise_is_taken(
    far: FarSide, client: PlatformClient, first: bytes
) -> None:
    kept = {"id": "a1", "config": plugin({"url": "HTTPS://New.example/api/agent/"})}
    far.will_answer(first, answer(200, {"id": "a1", "webhook_url": None}), answer(200, kept))
    assert (await client.set_webhook("a1", NEW)).id == "a1"


async def test_a_place_that_still_names_another_webhook_is_told(
    far: FarSide, client: PlatformClient, warned: list[str], tmp_path: Path
) -> None:
    kept = answer(200, {"id": "a1", "webhook_url": NEW, "config": {"endpoint": OLD}})
    far.will_answer(kept)
    async with claimed(client, "a1", NEW, file=tmp_path / "webhook.json"):
        assert f"config.endpoint of a1 is still set to {OLD}" in warned[0]


async def test_a_webhook_that_the_platform_spells_otherwise_is_ours_and_goes_back(
    far: FarSide, client: PlatformClient, tmp_path: Path
) -> None:
    ours = answer(200, {"id": "a1", "webhook_url": f"{NEW}/"})
    before = answer(200, {"id": "a1", "webhook_url": OLD})
    far.will_answer(before, ours, ours, ours, before)
    async with claimed(client, "a1", NEW, file=tmp_path / "webhook.json"):
        pass
    assert [asked.json["webhook_url"] for asked in far.asked if asked.method == "POST"] == [NEW, OLD]
    assert not (tmp_path / "webhook.json").exists()


# --- commands


def command(*arguments: str, url: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> tuple[int, str]:
    monkeypatch.chdir(folder)
    for name, value in {"LAYERCODE_API_KEY": KEY, "LAYERCODE_API_URL": url, "LAYERCODE_AGENT_ID": "a1"}.items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(cli, list(arguments))
    return done.exit_code if not isinstance(done.exception, PlatformAPIError) else 1, done.output + str(done.exception)


async def test_set_webhook_fails_when_nothing_was_changed(
    far: FarSide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layercode_app.platform.client.READ_BACK_PAUSES", ())
    far.will_answer(answer(200, {"id": "a1", "webhook_url": OLD}))
    arguments = ("platform", "agents", "set-webhook", "a1", NEW, "--yes")
    code, output = await asyncio.to_thread(command, *arguments, url=far.url, monkeypatch=monkeypatch, folder=tmp_path)
    assert (code, f"still {OLD}" in output, "->" in output) == (1, True, False), output


async def test_a_time_that_is_none_is_shown_as_it_came(
    far: FarSide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far.will_answer(answer(200, {"started_at": 1e30, "ended_at": "soon", "transcript": []}))
    code, output = await asyncio.to_thread(
        command, "platform", "session", "s1", url=far.url, monkeypatch=monkeypatch, folder=tmp_path
    )
    assert (code, "1e+30" in output, "soon" in output) == (0, True, True), output


def platform_settings(folder: Path, url: str) -> Settings:
    return settings(folder, api_key=KEY, api_url=url, agent_id="a1", api_timeout=2.0)


async def looked_at(given: Settings) -> list[Finding]:
    return [finding async for finding in check_platform(given)]


async def test_doctor_does_not_take_an_unreadable_answer_for_no_network(far: FarSide, tmp_path: Path) -> None:
    for body in (NOT_JSON, answer(200, {"nothing": "known"})):
        far.will_answer(body)
        (finding,) = await looked_at(platform_settings(tmp_path, far.url))
        assert (finding.state, "The platform" in finding.detail) == (State.FAILED, True)
        assert finding.fix


async def test_doctor_says_which_network_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layercode_app.platform.transport.FIRST_PAUSE", 0.001)
    (here,) = await looked_at(platform_settings(tmp_path, "http://127.0.0.1:1/v1"))
    (far,) = await looked_at(platform_settings(tmp_path, "https://no-such-host.invalid/v1"))
    assert (here.state, "could not be reached" in here.detail) == (State.FAILED, True)
    assert (far.state, far.detail) == (State.SKIPPED, "the network that this check needs is not reachable")


async def test_doctor_follows_a_webhook_at_the_legacy_place(far: FarSide, tmp_path: Path) -> None:
    dead = "http://127.0.0.1:1/api/agent"
    far.will_answer(answer(200, {"id": "a1", "webhook_url": dead, "config": {"endpoint": OLD}}))
    contradiction, finding = await looked_at(platform_settings(tmp_path, far.url))
    assert (contradiction.name, contradiction.state) == ("webhook at config.endpoint", State.WARNING)
    far.will_answer(answer(200, {"id": "a1", "config": {"endpoint": dead}}))
    (legacy,) = await looked_at(platform_settings(tmp_path, far.url))
    assert legacy == finding
    assert f"{dead} cannot be reached" in legacy.detail


@pytest.mark.parametrize(
    "url", ["api.layercode.com/v1", "http://host:port/v1", "https://", "http://a b/", "ftp://x/v1"]
)
def test_an_api_url_that_is_none_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ConfigurationError, match="LAYERCODE_API_URL"):
        load_settings({"api_url": url}, env_file=None, toml_file=None)


class _NoTunnel:
    """A tunnel that leads to a known URL and does nothing else."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __aenter__(self) -> _NoTunnel:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def url(self, seconds: float) -> str:
        return self._url

    async def until_it_dies(self) -> None:
        await asyncio.Event().wait()


async def test_a_tunnel_stays_open_when_the_webhook_cannot_be_changed(
    far: FarSide, tmp_path: Path, warned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("layercode_app.platform.client.READ_BACK_PAUSES", ())
    far.will_answer(answer(200, {"id": "a1", "webhook_url": OLD}))
    given = platform_settings(tmp_path, far.url)
    secret = given.secrets_for("alone")[0]
    async with serve(LayerCode(VoiceAgent("alone"), settings=given)) as here:
        monkeypatch.setattr(Tunnel, "from_settings", lambda *_: _NoTunnel(here))
        # Enter and exit in another thread, so that this event loop can play the platform meanwhile. Outside the main
        # thread, TunnelBeside does not change the signal handlers.
        beside = await asyncio.to_thread(TunnelBeside(given, secret=secret, update_webhook=True).__enter__)
        async with asyncio.timeout(100):
            while not any("The tunnel stays open" in line for line in warned):
                await asyncio.sleep(0.01)
        assert beside._thread.is_alive()
        assert any(f"still {OLD}" in line for line in warned)
        await asyncio.to_thread(beside.__exit__, None, None, None)

"""`--tunnel --update-webhook` on a real server.

Whatever happens to the server or to the tunnel, the platform's webhook is restored.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from layercode_app.emulator.agents import AgentSpec
from layercode_app.emulator.app import create_emulator
from layercode_app.exceptions import ConfigurationError, PlatformAPIError
from layercode_app.platform.claim import TRIES, claimed, repair
from layercode_app.platform.client import PlatformClient
from layercode_app.platform.probe import probe

from ..forked import AsyncProcess
from ..ports import free_port
from ..processes import command, hangs_up, listening
from ..serving import serve

pytestmark = pytest.mark.anyio

KEY, SECRET = "test-api-key", "test-secret"
BEFORE = "https://before.example/api/agent"
FAKE = Path(__file__).with_name("cloudflared.py")


@dataclass
class Started:
    folder: Path
    server: str
    process: AsyncProcess
    platform: PlatformClient

    @property
    def ours(self) -> str:
        return f"{self.server}/api/agent"

    @property
    def output(self) -> str:
        return (self.folder / "output.txt").read_text()

    async def webhook(self) -> str | None:
        return (await self.platform.agent("a1")).webhook_url

    async def until_webhook(self, url: str) -> None:
        deadline = time.monotonic() + 40
        while (now := await self.webhook()) != url:
            assert time.monotonic() < deadline, f"the webhook is {now}, not {url}:\n{self.output}"
            await asyncio.sleep(0.05)

    async def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 40
        while not condition():
            assert time.monotonic() < deadline, self.output
            await asyncio.sleep(0.05)

    async def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 100)


class Refusing:
    """The emulated platform, which can refuse webhook changes, and can hold back its answers.

    It counts all webhook changes. After `fail(n)`, it answers the next n of them with 503. It handles every request at
    once, but sends answers only while `quick` is set. With `hangs_at_change`, the next webhook change clears `quick`.
    Then the answer to this change is the first that is held back.
    """

    def __init__(self, emulator: Any) -> None:
        self._emulator = emulator
        self.failures = 0
        self.refused = 0
        self.changes = 0
        self.hangs_at_change = False
        self.quick = asyncio.Event()
        self.quick.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def answer(message: Any) -> None:
            await self.quick.wait()
            await send(message)

        if scope["type"] != "http":
            await self._emulator(scope, receive, send)
        elif scope["method"] == "POST" and self._refuses_change():
            await answer({"type": "http.response.start", "status": 503, "headers": []})
            await answer({"type": "http.response.body", "body": b'{"error": "down"}'})
        else:
            await self._emulator(scope, receive, answer)

    def _refuses_change(self) -> bool:
        self.changes += 1
        if self.hangs_at_change:
            self.quick.clear()
            self.hangs_at_change = False
        refuses = self.refused < self.failures
        self.refused += refuses
        return refuses

    def fail(self, times: int) -> None:
        self.failures, self.refused = times, 0


@asynccontextmanager
async def refusing() -> AsyncIterator[tuple[Refusing, str]]:
    agents = [AgentSpec("a1", BEFORE, SECRET), AgentSpec("a2", BEFORE, SECRET)]
    side = Refusing(create_emulator(BEFORE, SECRET, agents=agents, api_key=KEY))
    async with serve(side) as url:
        yield side, f"{url}/v1"


@asynccontextmanager
async def platform() -> AsyncIterator[str]:
    async with refusing() as (_, url):
        yield url


@asynccontextmanager
async def started(
    folder: Path, api_url: str, how: str, *options: str, program: str = "run", **env: str
) -> AsyncIterator[Started]:
    port = free_port()
    server = f"http://127.0.0.1:{port}"
    settings = {
        "LAYERCODE_WEBHOOK_SECRET": SECRET,
        "LAYERCODE_API_KEY": KEY,
        "LAYERCODE_API_URL": api_url,
        "LAYERCODE_AGENT_ID": "a1",
        "LAYERCODE_TUNNEL_COMMAND": f"{sys.executable} {FAKE} tunnel --url {{url}}",
        "LAYERCODE_TUNNEL_PATTERN": r"http://127\.0\.0\.1:\d+|https://[a-z0-9-]+\.trycloudflare\.com",
        "LAYERCODE_TUNNEL_TIMEOUT": "15",
        "FAKE_TUNNEL": how,
        "FAKE_TUNNEL_URL": server,
        "LOG_DIR": "logs",
    }
    where = () if program == "dev" else ("--host", "127.0.0.1")
    arguments = (program, "--agent", "echo", *where, "--port", str(port), "--tunnel", *options)
    async with (
        command(*arguments, cwd=folder, env=settings | env) as process,
        PlatformClient(KEY, base_url=api_url) as client,
    ):
        if "--yes" in options or not options:
            await listening(server, process)
        yield Started(folder, server, process, client)


TAKE = ("--update-webhook", "--yes")


@pytest.mark.parametrize("how", ["normal", "late", "noise", pytest.param("stubborn", marks=pytest.mark.slow)])
async def test_the_webhook_comes_here_and_goes_back(tmp_path: Path, how: str) -> None:
    async with platform() as api, started(tmp_path, api, how, *TAKE) as run:
        await run.until_webhook(run.ours)
        assert (await probe(run.ours, SECRET)).fine
        code = await run.end()
        after = await run.webhook()

    assert (code, after) == (0, BEFORE)
    assert "unbuffered" in run.output
    assert "Your quick Tunnel has been created" in (tmp_path / "logs/tunnel.log").read_text(errors="replace")
    assert not (tmp_path / ".layercode/webhook.json").exists()


@pytest.mark.parametrize("how", ["none", "early"])
async def test_without_a_url_nothing_is_changed_and_the_server_goes_on(tmp_path: Path, how: str) -> None:
    async with platform() as api, started(tmp_path, api, how, *TAKE, LAYERCODE_TUNNEL_TIMEOUT="2") as run:
        await run.until(lambda: "The tunnel" in run.output)
        assert await run.webhook() == BEFORE
        assert (await probe(run.ours, SECRET)).fine
        assert await run.end() == 0
    assert "logs/tunnel.log" in run.output


@pytest.mark.slow
async def test_a_url_that_does_not_reach_us_gets_no_webhook(tmp_path: Path) -> None:
    settings = {"FAKE_TUNNEL_URL": "http://127.0.0.1:1", "LAYERCODE_TUNNEL_TIMEOUT": "2"}
    async with refusing() as (side, api), started(tmp_path, api, "normal", *TAKE, **settings) as run:
        await run.until(lambda: "does not reach this server" in run.output)
        await asyncio.sleep(1)
        assert (await probe(run.ours, SECRET)).fine
        assert await run.end() == 0
    assert side.changes == 0


@pytest.mark.slow
async def test_a_tunnel_that_dies_gives_the_webhook_back_at_once(tmp_path: Path) -> None:
    async with platform() as api, started(tmp_path, api, "dies", *TAKE) as run:
        await run.until_webhook(run.ours)
        await run.until_webhook(BEFORE)
        assert run.process.returncode is None
        # The server restores the webhook before it prints the message, because phone calls must not wait for a message.
        await run.until(lambda: "Lost connection with the edge" in run.output)
        assert await run.end() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGHUP, marks=hangs_up)])
async def test_ctrl_c_or_a_closed_terminal_gives_it_back(tmp_path: Path, number: int) -> None:
    async with platform() as api, started(tmp_path, api, "normal", *TAKE, program="dev") as run:
        await run.until_webhook(run.ours)
        assert await run.end(number) == 0
        assert await run.webhook() == BEFORE


@pytest.mark.parametrize("changed", [True, False], ids=["after the change", "before the platform answers the change"])
@pytest.mark.parametrize("program", ["run", pytest.param("dev", marks=pytest.mark.slow)])
async def test_no_further_signal_ends_it_before_a_slow_platform_has_given_it_back(
    tmp_path: Path, program: str, changed: bool
) -> None:
    async with refusing() as (side, api):
        side.hangs_at_change = not changed
        async with started(tmp_path, api, "normal", *TAKE, program=program) as run:
            await run.until(lambda: "until this server stops" in run.output if changed else side.changes == 1)
            side.quick.clear()
            run.process.send_signal(signal.SIGINT)
            await run.until(lambda: "Restoring the webhook of a1" in run.output)
            for count, number in enumerate((signal.SIGINT, signal.SIGTERM), start=1):
                run.process.send_signal(number)
                await run.until(lambda count=count: run.output.count("Still restoring") == count)  # type: ignore[misc]
            side.quick.set()
            assert await asyncio.wait_for(run.process.wait(), 100) == 0
            assert await run.webhook() == BEFORE


async def test_after_kill_9_the_next_start_gives_it_back(tmp_path: Path) -> None:
    async with platform() as api:
        async with started(tmp_path, api, "normal", *TAKE) as run:
            await run.until_webhook(run.ours)
            await run.end(signal.SIGKILL)
            assert await run.webhook() == run.ours
            assert (tmp_path / ".layercode/webhook.json").exists()
        async with started(tmp_path, api, "none") as again:
            assert await again.webhook() == BEFORE
            assert f"was restored to {BEFORE}" in again.output
            assert not (tmp_path / ".layercode/webhook.json").exists()


async def test_what_somebody_changed_meanwhile_stays(tmp_path: Path) -> None:
    async with platform() as api, started(tmp_path, api, "normal", *TAKE) as run:
        await run.until_webhook(run.ours)
        await run.platform.set_webhook("a1", "https://colleague.example")
        assert await run.end() == 0
        assert await run.webhook() == "https://colleague.example"


async def test_a_second_process_does_not_take_what_the_first_holds(tmp_path: Path) -> None:
    async with platform() as api, started(tmp_path, api, "normal", *TAKE) as first:
        await first.until_webhook(first.ours)
        async with started(tmp_path, api, "normal", *TAKE) as second:
            await second.until(lambda: "Another process" in second.output)
            await second.end()
        assert await first.webhook() == first.ours
        await first.end()
        assert await first.webhook() == BEFORE


async def test_it_asks_first_and_a_production_agent_is_refused(tmp_path: Path) -> None:
    async with platform() as api:
        async with started(tmp_path, api, "normal", "--unsafe-update-webhook") as unasked:
            # There is no terminal on which to confirm.
            assert await asyncio.wait_for(unasked.process.wait(), 100) == 1
            assert f"instead of {BEFORE}" in unasked.output
        (tmp_path / "output.txt").unlink()
        settings = {"LAYERCODE_PRODUCTION_AGENTS": "a0,a1"}
        async with command(
            "run", "--agent", "echo", "--tunnel", *TAKE, cwd=tmp_path,
            env={"LAYERCODE_WEBHOOK_SECRET": SECRET, "LAYERCODE_API_KEY": KEY, "LAYERCODE_AGENT_ID": "a1",
                 "LAYERCODE_API_URL": api, "LAYERCODE_TUNNEL_COMMAND": sys.executable, **settings},
        ) as refused:  # fmt: skip
            assert await asyncio.wait_for(refused.wait(), 100) == 2
    assert "LAYERCODE_PRODUCTION_AGENTS" in (tmp_path / "output.txt").read_text()


async def test_a_platform_that_fails_for_a_moment_gets_it_back_all_the_same(tmp_path: Path) -> None:
    async with refusing() as (side, api), started(tmp_path, api, "normal", *TAKE) as run:
        await run.until_webhook(run.ours)
        side.fail(2)
        assert await run.end() == 0
        assert (side.refused, await run.webhook()) == (2, BEFORE)
    assert not (tmp_path / ".layercode/webhook.json").exists()


@dataclass
class Left:
    """A claim that could not be released, because the platform still failed at the last retry."""

    side: Refusing
    client: PlatformClient
    file: Path

    async def webhook(self, agent_id: str = "a1") -> str | None:
        return (await self.client.agent(agent_id)).webhook_url


@pytest.fixture
async def left(tmp_path: Path) -> AsyncIterator[Left]:
    async with refusing() as (side, api), PlatformClient(KEY, base_url=api) as client:
        left = Left(side, client, tmp_path / "webhook.json")
        async with claimed(client, "a1", "https://first.example", file=left.file):
            side.fail(TRIES)
        assert (side.refused, await left.webhook()) == (TRIES, "https://first.example")
        yield left


@pytest.mark.parametrize("also_fails", [False, True], ids=["then it works", "then taking it fails as well"])
async def test_what_could_not_be_given_back_is_never_taken_for_what_was_there(left: Left, also_fails: bool) -> None:
    left.side.fail(TRIES + also_fails)
    with pytest.raises(PlatformAPIError) if also_fails else nullcontext():
        async with claimed(left.client, "a1", "https://second.example", file=left.file):
            assert await left.webhook() == "https://second.example"
    assert await left.webhook() == BEFORE
    assert not left.file.exists()


async def test_what_somebody_changed_since_is_what_goes_back(left: Left) -> None:
    await left.client.set_webhook("a1", "https://colleague.example")
    async with claimed(left.client, "a1", "https://second.example", file=left.file):
        pass
    assert await left.webhook() == "https://colleague.example"


async def test_another_agent_does_not_overwrite_what_waits_to_be_given_back(left: Left) -> None:
    kept = left.file.read_text()
    left.side.fail(TRIES)
    with pytest.raises(ConfigurationError, match=f"a1 could not be restored.*{BEFORE}"):
        async with claimed(left.client, "a2", "https://second.example", file=left.file):
            raise AssertionError("it was taken")
    assert left.file.read_text() == kept
    assert await repair(left.client, file=left.file)
    assert [await left.webhook(), await left.webhook("a2")] == [BEFORE, BEFORE]


async def test_the_key_of_another_account_does_not_make_us_forget(left: Left) -> None:
    strangers = [AgentSpec("b1", BEFORE, SECRET)]
    elsewhere = create_emulator(BEFORE, SECRET, agents=strangers, api_key="test-other-key")
    async with serve(elsewhere) as url, PlatformClient("test-other-key", base_url=f"{url}/v1") as other:
        assert not await repair(other, file=left.file)
    assert await repair(left.client, file=left.file)
    assert await left.webhook() == BEFORE


async def test_a_claim_that_cannot_be_read_is_not_written_over(left: Left) -> None:
    left.file.write_text("{")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        async with claimed(left.client, "a1", "https://second.example", file=left.file):
            raise AssertionError("it was taken")
    assert left.file.read_text() == "{"


async def test_a_platform_that_hangs_does_not_hold_us_up(left: Left, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("layercode_app.platform.claim.GIVE_BACK_SECONDS", 0.1)
    monkeypatch.setattr(left.client, "set_webhook", hang)
    assert not await asyncio.wait_for(repair(left.client, file=left.file), 100)
    assert left.file.exists()


async def test_a_missing_program_says_where_to_get_it(tmp_path: Path) -> None:
    async with command(
        "dev", "--agent", "echo", "--tunnel", cwd=tmp_path, env={"LAYERCODE_TUNNEL_COMMAND": "no-such-tunnel {url}"}
    ) as process:
        assert await asyncio.wait_for(process.wait(), 100) == 2
    assert "LAYERCODE_TUNNEL_COMMAND" in (tmp_path / "output.txt").read_text()


async def test_a_proxy_that_holds_the_stream_back_is_found_out() -> None:
    async def hold_back(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.6)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": b"data: {}\n\n" * 4})

    async with serve(hold_back, lifespan="off") as url:
        verdict = await probe(f"{url}/api/agent", SECRET)
    assert (verdict.reached, verdict.unbuffered) == (True, False)
    assert "buffering" in verdict.reason

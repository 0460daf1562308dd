"""The `doctor` command, on a healthy project and on projects with one problem each."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from layercode_app import LayerCode, VoiceAgent
from layercode_app.doctor.local import check_port
from layercode_app.emulator.agents import AgentSpec
from layercode_app.emulator.app import create_emulator

from .. import forked
from ..calling import settings
from ..model_server import ModelServer
from ..platform.far_side import answer, far_side
from ..ports import free_port
from ..processes import clean_environment, command, listening
from ..serving import serve

pytestmark = pytest.mark.anyio

SECRET, KEY = "test-secret-that-is-long", "test-api-key-that-is-long"
TOKEN = "pylf_v1_us_testtokentesttoken"


@dataclass
class Report:
    code: int
    text: str
    data: dict[str, Any]

    def state(self, name: str) -> str:
        return str(self.line(name)["state"])

    def line(self, name: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = [check for check in self.data["checks"] if check["name"] == name]
        assert found, f"{name!r} is not among {[check['name'] for check in self.data['checks']]}"
        return found[0]


async def doctor(cwd: Path, *options: str, **env: str) -> Report:
    environment = {"PORT": str(free_port()), "LOG_DIR": "logs", "TELEMETRY_ENABLED": "true"} | env
    done = await asyncio.to_thread(
        forked.run, ["-m", "layercode_app", "doctor", "--json", *options], cwd=cwd, env=clean_environment(**environment)
    )
    text = done.stdout + done.stderr
    for secret in (SECRET, KEY, TOKEN, "hunter2", "test-model-key"):
        assert secret not in text
    return Report(done.returncode, text, json.loads(done.stdout))


@asynccontextmanager
async def everything(folder: Path) -> AsyncIterator[dict[str, str]]:
    """Start a server, the emulated platform, a model server and a sink for telemetry.

    Yield the environment variables that point the server to all of them.
    """
    async with AsyncExitStack() as stack:
        app = LayerCode(VoiceAgent("echo"), settings=settings(folder, webhook_secret=SECRET))
        server = await stack.enter_async_context(serve(app))
        agents = [AgentSpec("a1", f"{server}/api/agent", SECRET)]
        emulator = create_emulator("http://127.0.0.1:1", SECRET, agents=agents, api_key=KEY)
        platform = await stack.enter_async_context(serve(emulator))
        model = await stack.enter_async_context(serve(ModelServer().app))
        sink = await stack.enter_async_context(far_side(answer(200, {})))
        base = sink.url.removesuffix("/v1")
        yield {
            "LAYERCODE_WEBHOOK_SECRET": SECRET, "LAYERCODE_API_KEY": KEY, "LAYERCODE_AGENT_ID": "a1",
            "LAYERCODE_API_URL": f"{platform}/v1", "PORT": server.rpartition(":")[2],
            "DEFAULT_MODEL": "openai:gpt-test", "OPENAI_BASE_URL": f"{model}/v1", "OPENAI_API_KEY": "test-model-key",
            "LOGFIRE_TOKEN": TOKEN, "LOGFIRE_BASE_URL": base, "OTEL_EXPORTER_OTLP_ENDPOINT": base,
            "SENTRY_DSN": base.replace("//", "//testpublic@") + "/1",
        }  # fmt: skip


@pytest.mark.slow
async def test_where_all_is_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    async with everything(tmp_path) as env:
        report = await doctor(tmp_path / "project", "--agent", "starter", **env)

    states = {check["name"]: check["state"] for check in report.data["checks"]}
    assert states.pop("tunnel") in ("ok", "skipped")
    assert set(states.values()) == {"ok"}, report.text
    assert {"journal", "port", "clock", "webhook at the platform", "model of starter", "Logfire", "OTLP collector",
            "Sentry", "log folder", "API key", "webhook secret", "agent id", "settings"} <= states.keys()  # fmt: skip
    assert "served by this project" in report.line("port")["detail"]
    assert "unbuffered" in report.line("webhook at the platform")["detail"]
    assert (report.code, report.data["ok"]) == (0, True)
    table = {row["name"]: (row["value"], row["source"]) for row in report.data["settings"]}
    assert table["LAYERCODE_API_KEY"] == ("(secret)", "environment")
    assert table["LAYERCODE_BODY_LIMIT"] == ("1000000", "default")


async def test_an_empty_folder_without_a_network(tmp_path: Path) -> None:
    report = await doctor(tmp_path, LAYERCODE_API_URL="http://127.0.0.1:1/v1")
    assert report.code == 1
    assert report.state("webhook secret") == "failed"
    assert "LAYERCODE_WEBHOOK_SECRET" in report.line("webhook secret")["fix"]
    assert [report.state(name) for name in ("API key", "agent id", "clock", "webhook at the platform")] == [
        "skipped"
    ] * 4
    assert report.state("model of starter") == "warning"


@pytest.mark.slow
async def test_offline_asks_nobody(tmp_path: Path) -> None:
    async with far_side(answer(500)) as far:
        report = await doctor(
            tmp_path, "--offline", LAYERCODE_API_URL=far.url, LAYERCODE_WEBHOOK_SECRET=SECRET, LAYERCODE_API_KEY=KEY
        )
    assert (report.code, far.asked) == (0, [])


async def test_what_is_broken_is_named_with_its_mend(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents/broken.py").write_text("import no_such_module_at_all\n")
    (tmp_path / "file").write_text("")
    report = await doctor(
        tmp_path, "--offline", LAYERCODE_WEBHOOK_SECRET='"quoted-secret-of-mine', LAYERCODE_API_KEY="with a space in it",
        LAYERCODE_STORE="sqlite:///file/below/journal.sqlite3", LOG_DIR="file/logs",
    )  # fmt: skip
    assert report.code == 1
    for name in ("webhook secret", "API key", "agent file broken.py", "journal", "log folder"):
        assert report.state(name) == "failed", name
        assert report.line(name)["fix"]
    assert "no_such_module_at_all" in report.line("agent file broken.py")["detail"]


async def test_an_agent_that_there_is_not(tmp_path: Path) -> None:
    report = await doctor(tmp_path, "--offline", "--agent", "nobody", LAYERCODE_WEBHOOK_SECRET=SECRET)
    assert (report.code, report.state("agent")) == (1, "failed")


@pytest.mark.slow
async def test_a_wrong_setting_is_one_finding(tmp_path: Path) -> None:
    report = await doctor(tmp_path, PORT="many")
    assert report.code == 1
    assert "PORT" in report.line("settings")["detail"]


@pytest.mark.slow
async def test_passwords_in_addresses_are_not_shown(tmp_path: Path) -> None:
    report = await doctor(tmp_path, "--offline", LAYERCODE_STORE="redis://user:hunter2@127.0.0.1:1/0")
    assert report.state("journal") == "failed"
    assert {row["value"] for row in report.data["settings"] if row["name"] == "LAYERCODE_STORE"} == {
        "redis://***@127.0.0.1:1/0"
    }


async def test_services_that_refuse(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    late = formatdate(1_000_000_000, usegmt=True)
    async with (
        everything(tmp_path) as env,
        far_side(answer(401, {"error": "no"}, date=late)) as refusing,
        serve(ModelServer(status=401).app) as model,
    ):
        base = refusing.url.removesuffix("/v1")
        env |= {
            "LAYERCODE_API_URL": refusing.url, "OPENAI_BASE_URL": f"{model}/v1", "LOGFIRE_BASE_URL": base,
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "SENTRY_DSN": base.replace("//", "//testpublic@") + "/1",
        }  # fmt: skip
        report = await doctor(tmp_path / "project", **env)

    for name in ("webhook at the platform", "model of starter", "Logfire", "OTLP collector", "Sentry", "clock"):
        assert report.state(name) == "failed", name
        assert report.line(name)["fix"]
    assert "authentication" in report.line("model of starter")["detail"]
    assert report.code == 1


async def test_a_webhook_that_leads_elsewhere_or_has_another_secret(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    async with everything(tmp_path) as env:
        other = await doctor(tmp_path / "project", **env | {"LAYERCODE_WEBHOOK_SECRET": "test-another-long-secret"})
    assert "another webhook secret" in other.line("webhook at the platform")["detail"]
    assert other.code == 1


@pytest.mark.slow
async def test_a_server_of_another_project_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    env = {"LAYERCODE_WEBHOOK_SECRET": SECRET, "PORT": str(free_port())}
    async with command("run", "--agent", "echo", "--host", "127.0.0.1", cwd=tmp_path / "first", env=env) as server:
        await listening(f"http://127.0.0.1:{env['PORT']}", server)
        other, stranger = await asyncio.gather(
            doctor(tmp_path / "second", "--offline", **env),
            doctor(tmp_path / "second", "--offline", **env | {"LAYERCODE_WEBHOOK_SECRET": "test-another-long-secret"}),
        )
    assert (other.state("port"), other.code) == ("failed", 1)
    assert "another project serves its agent 'echo' there, with the same secret" in other.line("port")["detail"]
    assert stranger.state("port") == "failed"
    assert "The server has another webhook secret" in stranger.line("port")["detail"]
    assert other.line("port")["fix"]


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ({"webhook_secret": ""}, "Without a webhook secret, `doctor` cannot ask this server for its project"),
        ({"agent_route": "/elsewhere"}, "/elsewhere answers 404: it is another server, or the path is wrong"),
        ({"webhook_secret": "another-long-secret"}, "The server has another webhook secret"),
    ],
)
async def test_a_server_whose_project_is_not_known_is_not_said_to_have_another_secret(
    own: dict[str, Any], told: str, tmp_path: Path
) -> None:
    app = LayerCode(VoiceAgent("echo", greeting="Hi"), settings=settings(tmp_path))
    async with serve(app) as url:
        port = int(url.rpartition(":")[2])
        finding = await check_port(settings(tmp_path, host="127.0.0.1", port=port, **own))
    assert finding.state == "failed"
    assert told in finding.detail
    assert ("secret" in finding.detail) is ("webhook_secret" in own)


async def test_a_port_that_something_else_holds(tmp_path: Path) -> None:
    async with far_side(answer(200, {"status": "ok"})) as far:
        port = far.url.removesuffix("/v1").rpartition(":")[2]
        report = await doctor(tmp_path, "--offline", LAYERCODE_WEBHOOK_SECRET=SECRET, PORT=port, HOST="127.0.0.1")
    assert report.state("port") == "failed"
    assert "Address already in use" in report.line("port")["detail"]


@pytest.mark.slow
async def test_the_projects_own_agents_are_looked_at_and_not_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    for name in ("bakery", "florist"):
        (tmp_path / "agents" / f"{name}.py").write_text(
            "from pydantic_ai import Agent\nfrom layercode_app import VoiceAgent\n"
            f"agent = VoiceAgent({name!r}, Agent())\n"
        )
    async with serve(ModelServer().app) as model:
        report = await doctor(
            tmp_path, LAYERCODE_WEBHOOK_SECRET=SECRET, LAYERCODE_API_URL="http://127.0.0.1:1/v1",
            DEFAULT_MODEL="openai:gpt-test", OPENAI_BASE_URL=f"{model}/v1", OPENAI_API_KEY="test-model-key",
        )  # fmt: skip
    models = {check["name"]: check["state"] for check in report.data["checks"] if check["name"].startswith("model of")}
    assert models == {"model of bakery": "ok", "model of florist": "ok"}
    assert report.line("agent files")["detail"].startswith("bakery, florist; shipped: concierge, ")

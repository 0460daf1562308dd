"""The `platform` commands on a real command line, against the emulator and against a server with a script."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from layercode_app.emulator.app import create_emulator

from .. import forked
from ..platform.far_side import answer, far_side
from ..processes import clean_environment
from ..serving import serve

pytestmark = pytest.mark.anyio

KEY = "test-api-key-3f9a"


@dataclass
class Ran:
    code: int
    out: str
    err: str


async def platform(cwd: Path, url: str, *arguments: str, stdin: str = "", **env: str) -> Ran:
    environment = {"LAYERCODE_API_KEY": KEY, "LAYERCODE_API_URL": url, "LAYERCODE_AGENT_ID": "a1"} | env
    done = await asyncio.to_thread(
        forked.run, ["-m", "layercode_app", "platform", *arguments],
        cwd=cwd, env=clean_environment(**environment), typed=stdin,
    )  # fmt: skip
    assert KEY not in done.stdout + done.stderr
    return Ran(done.returncode, done.stdout, done.stderr)


async def test_agents_are_listed_made_and_pointed_elsewhere(tmp_path: Path) -> None:
    async with serve(create_emulator("https://old.example", "test-secret", api_key=KEY)) as base:
        url = f"{base}/v1"
        made = json.loads((await platform(tmp_path, url, "agents", "create", "--json")).out)[0]
        declined = await platform(
            tmp_path, url, "agents", "set-webhook", made["id"], "https://new.example", stdin="n\n"
        )
        between = json.loads((await platform(tmp_path, url, "agents", "show", made["id"], "--json")).out)[0]
        agreed = await platform(tmp_path, url, "agents", "set-webhook", made["id"], "https://new.example", "--yes")
        listed = json.loads((await platform(tmp_path, url, "agents", "list", "--json")).out)
        table = await platform(tmp_path, url, "agents", "list", COLUMNS="200")

    assert made["webhook_secret"]
    assert declined.code == 1
    assert between["webhook_url"] == "https://old.example"
    assert agreed.out.strip() == f"{made['id']}: https://old.example -> https://new.example"
    assert {agent["id"]: agent["webhook_url"] for agent in listed}[made["id"]] == "https://new.example"
    assert "webhook_secret" not in listed[0]
    assert "https://new.example" in table.out


LONG_ID, LONG_URL, LONG_SECRET = "agent-" + "7" * 30, f"https://{'far.' * 20}example/api/agent", "test-" + "s3cret" * 15


@pytest.mark.parametrize("columns", ["80", ""], ids=["80 columns", "piped"])
@pytest.mark.slow
async def test_what_is_shown_once_is_never_cut(tmp_path: Path, columns: str) -> None:
    made = {"id": LONG_ID, "name": "[bold]Desk", "webhook_url": LONG_URL, "webhook_secret": LONG_SECRET}
    env = {"COLUMNS": columns} if columns else {}
    async with far_side(answer(201, made)) as far:
        created = await platform(tmp_path, far.url, "agents", "create", **env)
        shown = await platform(tmp_path, far.url, "agents", "show", LONG_ID, **env)
        far.will_answer(answer(200, {"agents": [made]}))
        listed = await platform(tmp_path, far.url, "agents", "list", **env)

    lines = [f"id: {LONG_ID}", "name: [bold]Desk", f"webhook_url: {LONG_URL}"]
    assert created.out.splitlines() == [*lines, f"webhook_secret: {LONG_SECRET}"]
    assert shown.out.splitlines() == lines
    assert "…" not in listed.out
    columns_shown = zip(*(line.strip("│").split("│") for line in listed.out.splitlines() if "│" in line), strict=True)
    assert {"".join(cell.strip() for cell in cells) for cells in columns_shown} == {LONG_ID, "[bold]Desk", LONG_URL}
    assert LONG_SECRET not in listed.out


LONG_ANSWER = "hello " * 30 + "again"


@pytest.mark.slow
async def test_a_session_is_shown_in_words_and_as_json(tmp_path: Path) -> None:
    shown = {
        "session_id": "s1", "conversation_id": "c1", "duration_ms": 61000, "latency_ms": 812.4,
        "started_at": 1700000000000, "transcript": [{"timestamp": None, "user_message": "[hi]",
        "assistant_message": LONG_ANSWER}],
    }  # fmt: skip
    async with far_side(answer(200, shown)) as far:
        words = await platform(tmp_path, far.url, "session", "s1")
        data = await platform(tmp_path, far.url, "session", "s1", "--json", "--agent-id", "a2")

    assert "61.0 s" in words.out
    assert "812 ms" in words.out
    assert "user:       [hi]" in words.out
    assert f"assistant:  {LONG_ANSWER}\n" in words.out
    assert "2023-11-14T22:13:20" in words.out
    assert [line["text"] for line in json.loads(data.out)["transcript"]] == ["[hi]", LONG_ANSWER]
    assert [asked.path for asked in far.asked] == ["/v1/agents/a1/sessions/s1", "/v1/agents/a2/sessions/s1"]


async def test_a_recording_is_written(tmp_path: Path) -> None:
    async with far_side(answer(200, raw=b"RIFF....")) as far:
        ran = await platform(tmp_path, far.url, "recording", "s1", "-o", "call.wav")
    assert (ran.code, (tmp_path / "call.wav").read_bytes()) == (0, b"RIFF....")


async def test_a_call_is_made_only_after_a_yes(tmp_path: Path) -> None:
    options = ("call", "--from", "+15550001", "--to", "+15550002")
    async with far_side(answer(200, {"conversation_id": "c9"})) as far:
        declined = await platform(tmp_path, far.url, *options, stdin="n\n")
        silent = await platform(tmp_path, far.url, *options)
        assert not far.asked
        agreed = await platform(tmp_path, far.url, *options, stdin="y\n")

    assert (declined.code, silent.code, agreed.code) == (1, 1, 0)
    assert "c9" in agreed.out
    assert far.asked[0].json == {"from_phone_number": "+15550001", "to_phone_number": "+15550002"}


async def test_errors_are_one_line_with_a_stable_exit_code(tmp_path: Path) -> None:
    async with far_side(answer(402, {"error": "Insufficient balance"})) as far:
        refused = await platform(tmp_path, far.url, "agents", "create")
        unset = await platform(tmp_path, far.url, "session", "s1", LAYERCODE_AGENT_ID="")
        keyless = await platform(tmp_path, far.url, "agents", "list", LAYERCODE_API_KEY="")

    assert (refused.code, unset.code, keyless.code) == (1, 2, 2)
    assert "top it up" in refused.err
    assert "LAYERCODE_AGENT_ID" in unset.err
    assert "LAYERCODE_API_KEY" in keyless.err
    assert not [ran for ran in (refused, unset, keyless) if "Traceback" in ran.err]

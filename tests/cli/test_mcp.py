"""The `mcp` server, with a journal that contains personal details.

The server runs as a process, and the official client talks to it over stdio.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters, stdio_client

from layercode_app.cli.mcp.bounded import ANSWER_BYTES
from layercode_app.journal.record import Frame, Kind, Speech, Status, ToolCall, TurnRecord
from layercode_app.journal.stores.history_steps import SUMMARY
from layercode_app.journal.stores.sqlite import SQLiteStore
from layercode_app.wellformed import dump_json

from ..processes import clean_environment

pytestmark = pytest.mark.anyio

NAME, EMAIL, PHONE, CARD = "Marigold Featherstone", "marigold@flowers.example", "+1 415 555 0123", "4242 4242 4242 4242"
KEY, PROVIDER_KEY = "test-key-of-marigold", "sk-test4f5e6d7c8b9a0f1e2d3c"
PLANTED = (
    "marigold",
    "featherstone",
    "flowers.example",
    "555 0123",
    "5550123",
    "4242",
    KEY,
    PROVIDER_KEY,
    "12 elm lane",
)
SAID = f"This is {NAME}, write to {EMAIL} or call {PHONE}. My card is {CARD}, I want the croissant."
REPLY = f"Thank you, Marigold, your card {CARD} is charged; the key is {KEY}, and I call {PHONE} now."
AGENT = """
from layercode_app import Turn, VoiceAgent

print("an agent file that prints")
agent = VoiceAgent("shop", greeting="Hello!", history=True)


@agent.on_message
async def reply(turn: Turn) -> str:
    print("an agent that prints")
    if "crash" in turn.text:
        raise RuntimeError(f"{turn.metadata}")
    return f"{turn.metadata.get('customer_name')} said {turn.text}"
"""
SCENARIOS = """
agent: shop
scenarios:
  - name: repeats
    turns: [{say: a croissant, expect: {contains: [croissant]}}]
  - name: sings
    turns: [{say: a croissant, expect: {contains: [la la la]}}]
"""


def planted(turn_id: str, *, cut: bool = False) -> TurnRecord:
    details = {"email": EMAIL, EMAIL: NAME, "note": f"{NAME} at {PHONE}", "card": CARD, "account_number": 424242}
    metadata = {"customer_name": NAME, "api_key": KEY, "address": "12 Elm Lane", "phone": PHONE}
    return TurnRecord(
        "call-1", turn_id, Kind.MESSAGE, "shop",
        status=Status.INTERRUPTED if cut else Status.COMPLETE,
        session_id="s",
        user_text=SAID,
        # The text that the caller heard ends within the telephone number.
        heard_text=REPLY[: REPLY.index("0123")] if cut else None,
        event={"type": "message", "conversation_id": "call-1", "turn_id": turn_id, "session_id": "s", "text": SAID,
               "from_phone_number": PHONE, "metadata": metadata},
        speech=[Speech("say", 0, REPLY)],
        tools=[ToolCall("1", "charge", details | {"conversation_id": EMAIL, "credential": "12 Elm Lane"}, 1.0, 2.0, "failed",
                        f"refused for {NAME}: {PROVIDER_KEY}, 12 Elm Lane")],
        notes=[NAME],
        state={"name": NAME, "address": "12 Elm Lane"},
        metadata=metadata,
        outcomes=[{"name": "ordered", "value": None, "note": EMAIL}],
        scores={"liked": {"value": 1.0, "comment": f"{NAME} was happy, {PHONE}"}},
        error_category="tool",
        error_detail=f"key {PROVIDER_KEY} of {NAME}",
        failure={"message": SAID},
        frames=[Frame("response.tts", REPLY, 1.0), Frame("response.data", details), Frame("response.end", at_ms=9.0)],
        messages=dump_json([{"kind": "request", "parts": [{"part_kind": "user-prompt", "content": SAID}]}]),
        timings={"ttfs": 2100.0, "total": 2500.0},
        model="gpt-5-mini",
        usage={"requests": 1, "input_tokens": 900, "output_tokens": 20},
        started_at=1_700_000_000.0,
        ended_at=1_700_000_002.5,
    )  # fmt: skip


@pytest.fixture
async def project(tmp_path: Path) -> Path:
    """Make a project with an agent, scenarios, and a journal of one conversation that is full of personal details."""
    for name, text in {"agents/shop.py": AGENT, "evals/shop.yaml": SCENARIOS}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    await write(tmp_path, [planted("t1"), planted("t2", cut=True)])
    return tmp_path


async def write(folder: Path, turns: list[TurnRecord]) -> None:
    store = SQLiteStore(folder / "journal.sqlite3")
    await store.open()
    for record in turns:
        await store.begin(record, history_tokens=0)
        await store.save(
            record, state={SUMMARY: {"text": SAID, "facts": [f"lives at 12 Elm Lane, {NAME}"], "until": 1}}
        )
    await store.establish("call-1", {"customer_name": NAME})
    await store.close()


@asynccontextmanager
async def serving(folder: Path, *options: str) -> AsyncIterator[Client]:
    """Start an `mcp` server in the folder, and yield the official client that is connected to it."""
    command = ["-m", "layercode_app", "mcp", "--store", f"sqlite:///{folder}/journal.sqlite3", *options]
    server = StdioServerParameters(command=sys.executable, args=command, cwd=folder, env=clean_environment())
    with (folder / "stderr").open("w") as errors:
        async with Client(stdio_client(server, errlog=errors), read_timeout_seconds=120) as client:
            yield client


async def text_of(client: Client, tool: str, **arguments: Any) -> tuple[bool, str]:
    result = await client.call_tool(tool, arguments)
    return not result.is_error, "".join(getattr(part, "text", "") for part in result.content)


async def answer(client: Client, tool: str, **arguments: Any) -> Any:
    ok, text = await text_of(client, tool, **arguments)
    assert ok, text
    assert len(text.encode()) <= ANSWER_BYTES + 1000
    return json.loads(text)


def leaks(text: str) -> list[str]:
    return [one for one in PLANTED if one in text.lower()]


READS: list[tuple[str, dict[str, Any]]] = [
    ("list_conversations", {}),
    ("show_conversation", {"conversation_id": "call-1"}),
    ("explain_conversation", {"conversation_id": "call-1"}),
    ("search_conversations", {"text": "croissant"}),
    *[("report", {"since": "all", "by": by}) for by in ("agent", "tool", "conversation", "day")],
]


@pytest.mark.slow
async def test_no_personal_detail_comes_out_of_any_tool(project: Path) -> None:
    forks: list[dict[str, Any]] = [
        {"turn": "2", "say": [f"I am {NAME}: {EMAIL}"]},
        {"turn": "t1", "rest": True},
    ]
    runs = [("fork_conversation", {"conversation_id": "call-1", **fork}) for fork in forks]
    async with serving(project, "--allow-run") as client:
        for tool, arguments in [*READS, *runs]:
            ok, text = await text_of(client, tool, **arguments)
            assert ok, (tool, text)
            assert leaks(text) == [], (tool, arguments, text)
        # A search for a personal detail finds nothing.
        for detail in (NAME, EMAIL, PHONE, CARD, KEY, PROVIDER_KEY, "Elm Lane"):
            assert (await answer(client, "search_conversations", text=detail))["rows"] == []
        ok, text = await text_of(client, "fork_conversation", conversation_id="call-1", turn="t1", say=["crash"])
        assert leaks(text) == [], text
    assert leaks((project / "stderr").read_text()) == []


async def test_what_is_no_personal_detail_is_told(project: Path) -> None:
    async with serving(project) as client:
        [listed] = (await answer(client, "list_conversations"))["rows"]
        assert (listed["conversation_id"], listed["turns"], listed["agent"]) == ("call-1", 2, "shop")
        shown = await answer(client, "show_conversation", conversation_id="call-1")
        assert [row["turn_id"] for row in shown["rows"]] == ["t1", "t2"]
        assert "I want the croissant" in shown["rows"][0]["caller"]
        assert shown["rows"][0]["tools"][0]["name"] == "charge"
        assert shown["rows"][0]["ttfs_ms"] == 2100.0
        assert "facts" in shown["summary"]
        explained = await answer(client, "explain_conversation", conversation_id="call-1")
        assert "charge" in explained["rows"][0]["explanation"]
        found = await answer(client, "search_conversations", text="CROISSANT")
        assert [(row["conversation_id"], row["matching_turns"]) for row in found["rows"]] == [("call-1", 2)]
        report = await answer(client, "report", since="all", by="conversation")
        assert [group["key"] for group in report["groups"]] == ["call-1"]
        assert report["tools"][0]["key"] == "charge"
        assert report["total"]["tokens"]["input_tokens"] == 1800
        assert "[redacted]" not in dump_json([report["total"], report["models"], report["days"]]).decode()


async def test_without_allow_run_nothing_runs(project: Path) -> None:
    async with serving(project) as client:
        tools = (await client.list_tools()).tools
        assert sorted(tool.name for tool in tools) == sorted({tool for tool, _ in READS})
        assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)
        assert "--allow-run" in (client.instructions or "")
        for tool in ("run_scenario", "fork_conversation"):
            ok, _ = await text_of(client, tool, conversation_id="call-1", turn="1", file="evals/shop.yaml")
            assert not ok


async def test_scenarios_and_forks_run_when_allowed(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(project, "--allow-run") as client:
        told = await answer(client, "run_scenario", file="evals/shop.yaml")
        assert not told["ok"]
        assert [(run["scenario"], run["passed"]) for run in told["runs"]] == [("sings", False), ("repeats", True)]
        assert "la la la" in told["runs"][0]["reasons"][0]
        assert (await answer(client, "run_scenario", file="evals/shop.yaml", scenario="repeats", repeat=2))["ok"]
        forked = await answer(
            client, "fork_conversation", conversation_id="call-1", turn="1", say=["two buns", "that is all"]
        )
        assert [pair["new"]["user_text"] for pair in forked["turns"]] == ["two buns", "that is all"]
        assert forked["turns"][0]["new"]["text"].endswith("said two buns")
        # The fork did not change the journal.
        assert [row["turns"] for row in (await answer(client, "list_conversations"))["rows"]] == [2]
    assert "an agent that prints" in (project / "stderr").read_text()
    # The client would log each line on stdout that is not part of the protocol, such as what the agent prints.
    assert caplog.text == ""


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("show_conversation", {"conversation_id": "gone"}, "'gone' is not in the journal"),
    ("explain_conversation", {"conversation_id": "' OR 1=1; --"}, "is not in the journal"),
    ("show_conversation", {"conversation_id": "../../etc/passwd"}, "is not in the journal"),
    ("show_conversation", {"conversation_id": ""}, "list_conversations shows"),
    ("show_conversation", {"conversation_id": "a\0b\x1b[2J"}, "list_conversations shows"),
    ("show_conversation", {"conversation_id": "x" * 1_000_000}, "list_conversations shows"),
    ("explain_conversation", {"conversation_id": EMAIL}, "is not in the journal"),
    ("show_conversation", {}, "conversation_id"),
    ("list_conversations", {"limit": 0}, "greater than or equal to 1"),
    ("list_conversations", {"limit": 10**9}, "less than or equal to 100"),
    ("list_conversations", {"offset": 10**30}, "less than or equal to"),
    ("search_conversations", {"text": ""}, "at least 2"),
    ("report", {"since": "yesterday"}, "expected a duration"),
    ("report", {"by": "caller"}, "'agent', 'model'"),
    ("run_scenario", {"file": "evals/none.yaml"}, "No such file"),
    ("run_scenario", {"file": "/etc/passwd"}, "outside of the project"),
    ("run_scenario", {"file": "evals/../../x.yaml"}, "outside of the project"),
    ("run_scenario", {"file": "a\0b"}, "not the path"),
    ("run_scenario", {"file": "agents/shop.py"}, "agents/shop.py"),
    ("run_scenario", {"file": "evals/shop.yaml", "scenario": "none"}, "'repeats', 'sings'"),
    ("fork_conversation", {"conversation_id": "call-1", "turn": "9"}, "expected a number from 1 to 2"),
    ("fork_conversation", {"conversation_id": "gone", "turn": "1"}, "is not in the journal"),
    ("fork_conversation", {"conversation_id": "call-1", "turn": "9" * 5000}, "at most 200"),
]


@pytest.mark.slow
async def test_wrong_arguments_are_told_and_the_server_goes_on(project: Path) -> None:
    async with serving(project, "--allow-run") as client:
        for tool, arguments, expected in WRONG:
            ok, text = await text_of(client, tool, **arguments)
            assert not ok, (tool, arguments, text)
            assert expected in text, (tool, arguments, text)
            assert len(text) < 2_000
            assert leaks(text) == []
        assert (await answer(client, "list_conversations"))["rows"]


async def test_a_journal_that_is_not_there_yet_is_told(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        ok, text = await text_of(client, "list_conversations")
        assert not ok
        assert "there is no journal yet" in text
        await write(tmp_path, [planted("t1")])
        assert (await answer(client, "list_conversations"))["rows"]


@pytest.mark.slow
async def test_answers_of_a_big_journal_are_bounded(tmp_path: Path) -> None:
    long = "croissant and tea, " * 500
    many = [long, *[f"bun {number}" for number in range(300)]]
    turns = [
        TurnRecord(f"call-{number}", "t", Kind.MESSAGE, "shop", status=Status.COMPLETE, user_text="a croissant",
                   speech=[Speech("say", 0, "Yes.")], started_at=1_700_000_000.0 + number)
        for number in range(150)
    ]  # fmt: skip
    turns += [
        TurnRecord("long", f"t{number}", Kind.MESSAGE, "shop", status=Status.COMPLETE, user_text=long,
                   speech=[Speech("say", 0, long)], started_at=1_700_001_000.0 + number,
                   tools=[ToolCall("1", "bake", {"items": many, "more": dict.fromkeys(many, "tea")}, 1.0, 2.0, "done", many)])
        for number in range(12)
    ]  # fmt: skip
    await write(tmp_path, turns)
    async with serving(tmp_path) as client:
        assert await _walk(client, "list_conversations", limit=100) == {"long", *(f"call-{n}" for n in range(150))}
        assert await _walk(client, "show_conversation", "turn_id", conversation_id="long") == {
            f"t{n}" for n in range(12)
        }
        assert len(await _walk(client, "search_conversations", text="croissant", limit=40)) == 151
        groups = await _walk(client, "report", "key", "groups", since="all", by="conversation", limit=100)
        assert len(groups) == 151


async def _walk(
    client: Client, tool: str, key: str = "conversation_id", rows: str = "rows", **arguments: Any
) -> set[str]:
    """Request all pages of a tool's rows. Return the field `key` of each row.

    Each answer but the last gives the offset of the next page.
    """
    found: list[str] = []
    offset: int | None = 0
    while offset is not None:
        told = await answer(client, tool, offset=offset, **arguments)
        found += [row[key] for row in told[rows]]
        offset = told.get("next_offset")
        assert (offset is None) == ("more" not in told)
        assert offset is None or f"offset={offset}" in told["more"]
    assert len(found) == len(set(found))
    return set(found)


HIDE_SDK = (
    "import sys; sys.modules['mcp'] = None; from layercode_app.cli.main import main; sys.argv = ['x', 'mcp']; main()"
)


def test_without_the_sdk_the_extra_is_named(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", HIDE_SDK], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "pip install 'layercode-app[mcp]'" in " ".join(done.stderr.split())

"""Typical mistakes in a first agent file are found when the file is loaded. The error says what to write instead."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from layercode_app import HookError, LayerCode, Turn, VoiceAgent
from layercode_app.cli.main import app
from layercode_app.exceptions import DeveloperError

from ..calling import SECRET, settings
from ..processes import run

HEAD = """
from dataclasses import dataclass

from pydantic import BaseModel
from pydantic_ai import Agent

from layercode_app import Turn, VoiceAgent


@dataclass
class Shop:
    name: str


class Basket(BaseModel):
    items: int = 0


class Other(BaseModel):
    items: int = 0


shop = Agent()


@shop.tool_plain
async def place_order() -> str:
    return "ordered"


async def reply(turn: Turn) -> str:
    return turn.text


def reply_at_once(turn: Turn) -> str:
    return turn.text


def count(turn: Turn) -> int:
    return 1


def greet() -> str:
    return "Hello"


def basket(turn: Turn) -> Basket:
    return Basket()


"""
MISTAKES = {
    "deps are missing": (
        'agent = VoiceAgent("shop", Agent(deps_type=Shop))',
        "the agent's deps_type is Shop, but without deps= the agent gets the Turn. Pass a function: deps=lambda turn: Shop",
    ),
    "deps of another type": (
        'agent = VoiceAgent("shop", Agent(deps_type=Shop), deps=basket)',
        "deps returns Basket, but the agent's deps_type is Shop. Return a Shop, or create the agent with deps_type=Basket.",
    ),
    "deps are no function": (
        'agent = VoiceAgent("shop", Agent(deps_type=Shop), deps=Shop("corner"))',
        "deps=Shop(name='corner'): expected a function of the turn, such as deps=lambda turn: ...",
    ),
    "no state": (
        'agent = VoiceAgent("shop", Agent(deps_type=Turn[Basket]))',
        "the agent's deps_type has the state Basket, but state= is missing. Add state=Basket.",
    ),
    "another state": (
        'agent = VoiceAgent("shop", Agent(deps_type=Turn[Basket]), state=Other)',
        "state=Other: the agent's deps_type has the state Basket. Use the same class in both places.",
    ),
    "a sync guard": (
        'agent = VoiceAgent("shop", shop, guard=reply_at_once)',
        "guard: reply_at_once is a plain function and would block every call. Write `async def reply_at_once(...)`.",
    ),
    "a greeting of a number": (
        'agent = VoiceAgent("shop", shop, greeting=count)',
        "greeting: count returns int; expected str, or an async iterator of str.",
    ),
    "a greeting without the turn": (
        'agent = VoiceAgent("shop", shop, greeting=greet)',
        "greeting: greet() must take (turn). Write `def greet(turn)`.",
    ),
    "a tool that is misspelt": (
        'agent = VoiceAgent("shop", shop, tools={"place_ordr": "finish"})',
        "tools={'place_ordr': …}: the agent has no such tool. Did you mean 'place_order'? It has: place_order.",
    ),
    "on_data with one parameter": (
        'agent = VoiceAgent("shop", shop)\nagent.on_data(reply)',
        "data: reply(turn) must take (turn, data). Write `async def reply(turn, data)`.",
    ),
    "seconds as text": (
        'agent = VoiceAgent("shop", shop, filler_after="1")',
        "filler_after='1': expected a number of seconds, such as filler_after=1.5.",
    ),
    "nothing to say": (
        'agent = VoiceAgent("shop")',
        "VoiceAgent('shop') has nothing to say: it has no PydanticAI agent, no on_message hook and no greeting.",
    ),
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "agents").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("LOG_DIR", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "")
    return tmp_path


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.slow
def test_agents_and_doctor_say_what_is_wrong_and_what_to_write(mistake: str, project: Path) -> None:
    code, said = MISTAKES[mistake]
    (project / "agents" / "shop.py").write_text(HEAD + code + "\n")
    listed = CliRunner().invoke(app, ["agents"])
    assert said in " ".join(listed.stderr.split())
    (failed,) = json.loads(CliRunner().invoke(app, ["agents", "--json"]).stdout)["failed"]
    assert said in failed["error"]
    looked = CliRunner().invoke(app, ["doctor", "--offline", "--json"])
    (found,) = [row for row in json.loads(looked.stdout)["checks"] if row["name"] == "agent file shop.py"]
    assert found["state"] == "failed"
    assert said in found["detail"]


@pytest.mark.parametrize("name", ["run", "chat"])
def test_no_server_starts_with_such_an_agent_and_it_is_said_once(name: str, project: Path) -> None:
    code, said = MISTAKES["a tool that is misspelt"]
    (project / "agents" / "shop.py").write_text(HEAD + code + "\n")
    more = ("--port", "0") if name == "run" else ("--say", "hello")
    exit_code, printed = run(name, *more, cwd=project, LAYERCODE_WEBHOOK_SECRET=SECRET)
    assert exit_code == 3, printed
    assert " ".join(printed.split()).count(said) == 1


def test_a_library_that_is_not_installed_is_one_line_with_what_to_install(project: Path) -> None:
    (project / "agents" / "intake.py").write_text(
        "import sys\nsys.modules['phonenumbers'] = None\nfrom layercode_app.collect import Phone\nPhone('number')\n"
    )
    exit_code, printed = run(
        "chat", "--agent", "intake", "--say", "hello", cwd=project, LAYERCODE_WEBHOOK_SECRET=SECRET
    )
    assert exit_code == 3, printed
    assert (
        "failed to import: Phone needs the library phonenumbers, which is not installed. Install it with: " in printed
    )
    assert "Traceback" not in printed


def test_what_fits_is_taken(project: Path) -> None:
    fine = """
class Big(Basket):
    more: int = 0


class Asks:
    async def __call__(self, turn: Turn) -> None:
        return None


one = VoiceAgent("one", Agent(deps_type=Turn[Basket]), state=Big, greeting=lambda turn: "Hi", guard=Asks())
two = VoiceAgent("two", Agent(deps_type=Shop), deps=lambda turn: Shop("corner"), turn_timeout=1)
three = VoiceAgent("three", Agent(deps_type=object), greeting=reply, tools={})
four = VoiceAgent("four", shop, tools={"place_order": "finish"})
five = VoiceAgent("five", greeting="Hello")
"""
    (project / "agents" / "shop.py").write_text(HEAD + fine)
    listed = json.loads(CliRunner().invoke(app, ["agents", "--json"]).stdout)
    assert listed["failed"] == []
    assert {"one", "two", "three", "four", "five"} <= {agent["name"] for agent in listed["agents"]}


def test_every_hook_is_asked_for_its_parameters() -> None:
    async def none() -> None:
        """Take nothing."""

    for name, expected in (
        ("on_message", "turn"), ("while_thinking", "turn"), ("on_session_start", "turn"), ("on_data", "turn, data"),
        ("on_session_update", "event"), ("on_session_end", "event"), ("on_event", "event"), ("on_authorize", "request"),
    ):  # fmt: skip
        with pytest.raises(HookError, match=rf"{name.removeprefix('on_')}: .* must take \({expected}\)"):
            getattr(VoiceAgent("shop"), name)(none)


@pytest.mark.parametrize(
    "name", ["filler_every", "turn_timeout", "tool_timeout", "first_token_timeout", "piece_timeout"]
)
@pytest.mark.parametrize("value", ["1", True, -1, float("nan")])
def test_seconds_are_numbers(name: str, value: object) -> None:
    options: dict[str, object] = {name: value}
    with pytest.raises(DeveloperError, match=f"{name}=.*: expected a number of seconds"):
        VoiceAgent("shop", **options)  # type: ignore[call-overload]


def test_an_embedded_app_refuses_a_misspelt_tool(tmp_path: Path) -> None:
    agent = VoiceAgent("echo", tools={"nothing": "finish"})

    @agent.on_message
    async def reply(turn: Turn) -> str:
        return turn.text

    with pytest.raises(DeveloperError, match=r"has no such tool\. It has: none"):
        LayerCode(agent, settings=settings(tmp_path))

"""A project serves its own agents, and the shipped examples only on request."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest

from layercode_app.agent.discovery import discover
from layercode_app.dev.agents import AgentFiles
from layercode_app.exceptions import AgentImportError, ConfigurationError

from ..calling import SECRET
from ..dev.serving import dev_server
from ..ports import free_port
from ..processes import command, listening, run

pytestmark = pytest.mark.anyio

BIRD = """
from layercode_app import Turn, VoiceAgent

agent = VoiceAgent({name!r})


@agent.on_message
async def reply(turn: Turn) -> str:
    return "{name}: " + turn.text
"""
ENV = {"LAYERCODE_WEBHOOK_SECRET": SECRET, "LAYERCODE_STORE": "memory"}


def project(folder: Path, *names: str) -> Path:
    """A project with an agent file for each name."""
    (folder / "agents").mkdir()
    for name in names:
        (folder / "agents" / f"{name}.py").write_text(BIRD.format(name=name))
    return folder


async def served(folder: Path, *options: str) -> tuple[list[str], str]:
    """Start `run`. Return the names of the served agents, beginning with the one at /api/agent, and the output."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    listen = ("--host", "127.0.0.1", "--port", str(port))
    async with command("run", *listen, *options, cwd=folder, env=ENV) as process:
        await listening(url, process)
        async with httpx.AsyncClient() as http:
            told = (await http.post(f"{url}/api/agents/nobody")).json()["error"]
    printed = (folder / "output.txt").read_text()
    names = told.partition("Agents here: ")[2].rstrip(".").split(", ")
    found = re.search(r"Serving (\w+) at http://\S+/api/agent", printed)
    assert found, printed
    return sorted(names, key=lambda name: (name != found[1], name)), printed


@pytest.mark.parametrize(
    ("own", "options", "names"),
    [
        (("parrot",), (), ["parrot"]),
        (("parrot", "magpie"), ("--agent", "parrot"), ["parrot", "magpie"]),
        (("parrot",), ("--agent", "echo"), ["echo", "parrot"]),
        ((), ("--agent", "starter"), ["starter"]),
        (("parrot",), ("--agent", "helpdesk"), ["helpdesk", "helpdesk_callback", "parrot"]),
    ],
)
async def test_run_serves_the_projects_own_agents_and_an_example_only_by_name(
    own: tuple[str, ...], options: tuple[str, ...], names: list[str], tmp_path: Path
) -> None:
    assert (await served(project(tmp_path, *own), *options))[0] == names


async def test_run_serves_the_starter_and_says_so_in_a_project_without_an_agent(tmp_path: Path) -> None:
    names, printed = await served(tmp_path)
    assert names == ["starter"]
    assert "No agent of your own was found, so the example 'starter' answers" in printed


async def test_run_serves_all_examples_on_request(tmp_path: Path) -> None:
    names, _ = await served(project(tmp_path, "parrot"), "--examples")
    assert names[0] == "parrot"
    assert {"starter", "bakery", "echo"} < set(names)


@pytest.mark.parametrize("name", ["run", "chat"])
def test_of_several_agents_none_is_picked(name: str, tmp_path: Path) -> None:
    project(tmp_path, "parrot", "magpie")
    more = ("--port", "0") if name == "run" else ("--say", "hello")
    code, printed = run(name, *more, cwd=tmp_path, env=ENV)
    assert code == 2, printed
    told = " ".join(printed.split())
    assert "This project has several agents: magpie, parrot. Choose the agent that answers, such as" in told
    assert "`--agent magpie`" in told


def test_a_file_that_fails_counts_as_one_of_several(tmp_path: Path) -> None:
    project(tmp_path, "parrot")
    (tmp_path / "agents" / "broken.py").write_text("import nothing_of_this_name\n")
    code, printed = run("run", "--port", "0", cwd=tmp_path, env=ENV)
    assert code == 2, printed
    assert "several agents: broken, parrot." in printed


def test_dev_takes_the_first_of_the_projects_agents_and_stays_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project(tmp_path, "magpie"))
    files = AgentFiles("")
    assert files.load().voices[0].name == "magpie"
    (tmp_path / "agents" / "dove.py").write_text(BIRD.format(name="dove"))
    names = [voice.name for voice in files.load().voices]
    assert names[:2] == ["magpie", "dove"]
    (tmp_path / "agents" / "magpie.py").unlink()
    assert files.load().voices[0].name == "dove"
    (tmp_path / "agents" / "dove.py").unlink()
    assert files.load().voices[0].name == "starter"
    assert discover().default() == "starter"


def test_dev_reports_the_first_file_if_all_of_several_files_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project(tmp_path, "magpie", "parrot"))
    for name in ("magpie", "parrot"):
        (tmp_path / "agents" / f"{name}.py").write_text("import nothing_of_this_name\n")
    with pytest.raises(AgentImportError, match=r"magpie\.py"):
        AgentFiles("").load()


def test_the_agent_named_after_the_only_file_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project(tmp_path, "parrot"))
    with (tmp_path / "agents" / "parrot.py").open("a") as file:
        file.write('\ncalled = VoiceAgent("called", greeting="Hello!")\n')
    assert discover().own() == ["called", "parrot"]
    assert discover().default() == "parrot"
    (tmp_path / "agents" / "magpie.py").write_text(BIRD.format(name="magpie"))
    with pytest.raises(ConfigurationError, match="several agents: called, magpie, parrot"):
        discover().default()


async def test_the_dev_page_lists_own_agents_first_and_examples_as_such(tmp_path: Path) -> None:
    folder = project(tmp_path, "zebra", "magpie") / "agents"
    async with dev_server(tmp_path, agents=folder, agent="zebra") as app, httpx.AsyncClient() as http:
        agents = (await http.get(f"{app.url}/dev/api/agents")).json()["agents"]
    assert [(agent["name"], agent["example"]) for agent in agents][:3] == [
        ("zebra", False),
        ("magpie", False),
        ("bakery", True),
    ]
    assert all(agent["example"] for agent in agents[2:]), json.dumps(agents)

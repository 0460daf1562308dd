"""`chat`, `send`, `check` and `bench` take the same addresses, as argument or `--url`. Scheme and path are optional."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from layercode_app import LayerCode, find_agent
from layercode_app.cli.main import app as command
from layercode_app.emulator.address import is_address, webhook_url
from layercode_app.exceptions import ConfigurationError

from ..calling import SECRET, settings
from ..processes import run
from ..serving import serve

pytestmark = pytest.mark.anyio

COMMANDS = {
    "chat": (["--say", "hello", "--json"], '"spoken":"You said: hello"'),
    "send": (["--data", '{"text": "hello"}'], "You said: hello"),
    "check": (["--only", "signature.right", "--json"], '"passed":1'),
    "bench": (["-c", "1", "-t", "1", "--json"], '"errors":{}'),
}


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("localhost:8000", "http://localhost:8000/api/agent"),
        ("localhost", "http://localhost/api/agent"),
        ("127.0.0.1:8000/", "http://127.0.0.1:8000/api/agent"),
        ("[::1]:8000", "http://[::1]:8000/api/agent"),
        ("192.168.1.20/hook", "http://192.168.1.20/hook"),
        ("backend:9000/hook", "http://backend:9000/hook"),
        ("example.com", "https://example.com/api/agent"),
        ("example.com:443/hook", "https://example.com:443/hook"),
        (" example.com/hook ", "https://example.com/hook"),
        ("http://localhost:8000", "http://localhost:8000/api/agent"),
        ("http://localhost:8000/", "http://localhost:8000/api/agent"),
        ("http://backend", "http://backend/api/agent"),
        ("https://example.com/hook?key=1", "https://example.com/hook?key=1"),
        ("https://example.com/?", "https://example.com/?"),
        ("https://example.com/#top", "https://example.com/api/agent"),
        ("http://localhost:8000/api/agents/bakery", "http://localhost:8000/api/agents/bakery"),
    ],
)
def test_an_address_is_completed(address: str, url: str) -> None:
    assert webhook_url(address) == url
    assert webhook_url(url) == url


def test_an_address_without_a_path_leads_to_the_named_agent() -> None:
    assert webhook_url("localhost:8000", agent="bakery") == "http://localhost:8000/api/agents/bakery"
    assert webhook_url("localhost:8000/hook", agent="bakery") == "http://localhost:8000/hook"


@pytest.mark.parametrize("text", ["bakery", "8000", "", "shop.agents:bakery", "ftp://host/hook", "/hook", "h:99999"])
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"expected one|expected a number|must begin with http|expected at most 65535"
    ):
        webhook_url(text)


def test_an_agent_is_not_taken_for_an_address() -> None:
    agents = ["bakery", "shop.agents:bakery", "shop:agent2", "my-agent"]
    assert not any(map(is_address, agents))
    assert all(map(is_address, ["localhost:8000", "localhost", "10.0.0.1", "[::1]:80", "host/path", "https://host"]))


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.slow
async def test_each_command_takes_each_form(name: str, tmp_path: Path) -> None:
    more, expected = COMMANDS[name]
    async with serve(LayerCode(find_agent("echo"), settings=settings(tmp_path))) as url:
        host = urlsplit(url).netloc
        forms = [[host], [f"{url}/"], ["--url", f"{host}/api/agent"], ["--url", f"{url}/api/agents/echo"]]
        for form in forms:
            code, printed = await asyncio.to_thread(run, name, *form, "--secret", SECRET, *more, cwd=tmp_path)
            assert code == 0, printed
            assert expected in printed.replace('": ', '":'), printed


async def test_bench_compares_an_argument_with_a_url(tmp_path: Path) -> None:
    async with serve(LayerCode(find_agent("echo"), settings=settings(tmp_path))) as url:
        host = urlsplit(url).netloc
        both = [
            "bench",
            host,
            "--url",
            f"{url}/api/agent",
            "--secret",
            SECRET,
            "-c",
            "1",
            "-t",
            "1",
            "-r",
            "1",
            "--json",
        ]
        code, printed = await asyncio.to_thread(run, *both, cwd=tmp_path)
    assert code == 0, printed
    assert {series["target"] for series in json.loads(printed)["targets"]} == {host, f"{url}/api/agent"}


@pytest.mark.parametrize("name", ["send", "check", "bench"])
def test_a_missing_address_is_a_usage_error(name: str) -> None:
    assert "missing; expected one such as localhost:8000" in refused(name)


@pytest.mark.parametrize("name", ["chat", "send", "check"])
def test_an_address_given_twice_is_a_usage_error(name: str) -> None:
    assert "the address is given twice: 'localhost:8000'" in refused(name, "localhost:8000", "--url", "localhost:9000")


def refused(*words: str) -> str:
    """Run a command that must fail with a usage error. Return its output as one line.

    The error is printed in a frame. The vertical lines of the frame are left out of the result.
    """
    told = CliRunner().invoke(command, words)
    assert told.exit_code == 2, told.output
    return " ".join(told.output.replace("\u2502", " ").split())

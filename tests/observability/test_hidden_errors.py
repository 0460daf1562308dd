"""No log line quotes an error of the user's code, unless content is captured."""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from loguru import logger
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel

from layercode_app import AuthorizeRequest, LayerCode, RefusedError, Turn, VoiceAgent
from layercode_app.observability import context
from layercode_app.observability.intercept import intercept
from layercode_app.observability.json_lines import JsonSink
from layercode_app.observability.privacy import masking
from layercode_app.observability.uncaught import catch_all

from ..calling import calling, settings
from ..serving import serve

pytestmark = pytest.mark.anyio

WORDS = "marzipan gingerbread"


@pytest.fixture(params=[False, True], ids=["hidden", "captured"])
def captured(request: pytest.FixtureRequest) -> Iterator[bool]:
    masking.configure(capture_content=request.param)
    yield request.param
    masking.configure()


@pytest.fixture
def lines() -> Iterator[list[str]]:
    found: list[str] = []
    number = logger.add(JsonSink([lambda agent, line: found.append(line.decode())], {}), level="DEBUG")
    yield found
    logger.remove(number)


def thinker() -> VoiceAgent[Any, Any]:
    agent = VoiceAgent("thinker", Agent(TestModel(custom_output_text="Done."), deps_type=Turn))

    @agent.while_thinking
    async def think(turn: Turn) -> None:
        raise ValueError(f"cannot look up {turn.text}")

    return agent


async def test_an_error_of_while_thinking(tmp_path: Path, captured: bool, lines: list[str]) -> None:
    async with calling(LayerCode(thinker(), settings=settings(tmp_path))) as caller:
        assert (await caller.say(WORDS)).spoken == "Done."
    (line,) = [line for line in lines if "while_thinking failed" in line]
    assert "ValueError" in line
    assert (WORDS in line) is captured
    assert any(WORDS in line for line in lines) is captured


async def test_a_refusal_of_the_on_authorize_hook(tmp_path: Path, captured: bool, lines: list[str]) -> None:
    agent = VoiceAgent("guarded", greeting="Hello")

    @agent.on_authorize
    async def refuse(request: AuthorizeRequest) -> None:
        raise RefusedError(f"nobody may {request.metadata['order']}", status=403)

    app = LayerCode(agent, settings=settings(tmp_path, agent_id="a-1", api_key="test-key"))
    async with serve(app) as url, httpx.AsyncClient() as page:
        answer = await page.post(f"{url}/api/authorize", json={"metadata": {"order": WORDS}})
    assert (answer.status_code, answer.json()) == (403, {"error": f"nobody may {WORDS}"})
    assert any("The on_authorize hook refused with 403" in line for line in lines)
    assert any(WORDS in line for line in lines) is captured


async def test_what_escaped_an_app_and_uvicorn_logs(captured: bool, lines: list[str]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError(f"cannot answer {WORDS}")

    intercept("INFO")
    async with serve(app, lifespan="off") as url, httpx.AsyncClient() as page:
        assert (await page.get(url)).status_code == 500
    (line,) = [line for line in lines if "ValueError" in line]
    assert (WORDS in line) is captured


async def test_warnings_are_logged_and_quote_nobody_in_a_turn(
    captured: bool, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, hook in ((warnings, "showwarning"), (threading, "excepthook"), (sys, "unraisablehook")):
        monkeypatch.setattr(module, hook, getattr(module, hook))
    catch_all()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", "unwanted")
        warnings.warn("unwanted", stacklevel=1)
        warnings.warn("an old habit, token=test1234", DeprecationWarning, stacklevel=1)
        with context.within(context.Ids("an agent")):
            warnings.warn(f"odd value {WORDS}", stacklevel=1)
    old, odd = lines
    assert "DeprecationWarning: an old habit, token=[redacted]" in old
    assert f"UserWarning in {__file__}, line " in odd
    assert (WORDS in odd) is captured


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("marzipan")


@pytest.mark.parametrize(
    ("message", "argument", "shown"),
    [
        ("%d items", "many", "%d items (logged without its arguments, because formatting them failed: TypeError)"),
        ("%s", Unprintable(), "%s (logged without its arguments, because formatting them failed: RuntimeError)"),
        (
            Unprintable(),
            1,
            "An object of type Unprintable (logged without its arguments, because formatting them failed: RuntimeError)",
        ),
    ],
)
def test_a_faulty_log_call_raises_no_error(message: Any, argument: Any, shown: str) -> None:
    heard: list[str] = []
    number = logger.add(heard.append, format="{level} {message}")
    intercept("INFO")
    for name in ("a.tool", "uvicorn.error"):
        logging.getLogger(name).warning(message, argument)
    logger.remove(number)
    assert heard == [f"WARNING {shown}\n"] * 2

"""Common snippets at the top of an agent file cannot disable a protection.

For each such snippet, the log names the setting that replaces the snippet.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from pydantic_ai import Agent
from pydantic_ai.models.instrumented import InstrumentationSettings, InstrumentedModel
from pydantic_ai.models.test import TestModel

from layercode_app.observability import instrument, logs
from layercode_app.observability.intercept import intercepted
from layercode_app.observability.privacy import masking

from .collectors import Collector, collecting
from .observed import observed

pytestmark = pytest.mark.anyio

HEAD = """
import logfire
import sentry_sdk
import sys
from loguru import logger
from pydantic_ai import Agent
from pydantic_ai.capabilities.instrumentation import Instrumentation
from pydantic_ai.models.instrumented import InstrumentationSettings
from pydantic_ai.models.test import TestModel

from layercode_app import Turn, VoiceAgent

logger.remove()
logger.add(sys.stderr, format="MINE {{message}}")
sentry_sdk.init(dsn="{dsn}", send_default_pii=True, traces_sample_rate=1.0)
"""
TRACED = """
logfire.configure(send_to_logfire=False, additional_span_processors=[])
logfire.instrument_pydantic_ai()
"""
BODY = """
own = Instrumentation(settings=InstrumentationSettings())
talker = Agent(TestModel(custom_output_text="Bread it is."), deps_type=Turn, instructions="Be brief.")
helper = Agent(TestModel(custom_output_text="Gingerbread."), capabilities=[own])
agent = VoiceAgent("pasted", talker)


@talker.tool_plain
async def look_up(what: str) -> str:
    return "marzipan"


@agent.while_thinking
async def think(turn: Turn) -> None:
    await helper.run(turn.text)
    if turn.text.endswith("fail"):
        logger.error("plain")
        raise RuntimeError("not seen")


@agent.on_data
async def data(turn: Turn, content: object) -> None:
    local = content
    raise ValueError("a hook failed")
"""
SAID = ("secretly", "marzipan", "Gingerbread", "Bread it is", "Be brief")


@dataclass
class Seen:
    """What one server sent and logged. Its agent file begins with the snippets of a test.

    `ours` is the collector at the addresses in the settings, and `theirs` is the collector at those in the agent file.
    """

    ours: Collector
    theirs: Collector
    printed: str
    lines: list[dict[str, Any]]


async def play(folder: Path, head: str, **env: str) -> Seen:
    with collecting() as ours, collecting() as theirs:
        agent = head.format(dsn=theirs.dsn, url=theirs.url) + BODY
        given = {name: value.format(url=ours.url, dsn=ours.dsn) for name, value in env.items()}
        async with observed(folder, agent=agent, name="pasted", **given) as server:
            await server.say("secretly fail", turn="t1")
            await server.send({"type": "data", "turn_id": "t1", "data": {"wish": "secretly"}})
            await server.stop()
            lines = [json.loads(line) for line in server.logged.splitlines()]
            return Seen(ours, theirs, server.printed, lines)


async def test_every_sink_is_kept(tmp_path: Path) -> None:
    seen = await play(tmp_path, HEAD + TRACED, OTEL_EXPORTER_OTLP_ENDPOINT="{url}", SENTRY_DSN="{dsn}")
    for advice in ("LOG_LEVEL, LOG_FORMAT or LOG_DIR", "Set SENTRY_DSN", "LOGFIRE_TOKEN", "LAYERCODE_CAPTURE_CONTENT"):
        assert len([line for line in seen.lines if advice in line["message"]]) == 1, advice
    assert [line["status"] for line in seen.lines if line.get("event") == "turn"] == ["complete"]
    # One line is from the toolkit's console handler, and one is from the handler in the agent file.
    assert seen.printed.count("turn complete") == 2

    names = [span.name for span in seen.ours.spans()]
    assert "turn pasted" in names
    assert sum(name.startswith("chat") for name in names) >= 3
    for word in SAID:
        assert word.encode() not in seen.ours.raw, word
    (error,) = [event for event in seen.ours.errors() if event["tags"].get("event_type") == "data"]
    assert error["exception"]["values"][-1]["type"] == "ValueError"
    assert seen.theirs.errors() == []


@pytest.mark.slow
async def test_the_dsn_of_an_agent_file_is_used_by_the_client_that_masks(tmp_path: Path) -> None:
    seen = await play(tmp_path, HEAD)
    assert any("but its DSN is used" in line["message"] for line in seen.lines)
    (error,) = seen.theirs.errors()
    assert error["tags"]["event_type"] == "data"
    assert "request" not in error
    assert b"secretly" not in seen.theirs.raw


@pytest.mark.slow
async def test_telemetry_that_is_off_stays_off(tmp_path: Path) -> None:
    seen = await play(tmp_path, HEAD, TELEMETRY_ENABLED="false")
    assert seen.theirs.bodies == []
    assert any("it was undone. Set SENTRY_DSN" in line["message"] for line in seen.lines)


async def test_logfire_without_a_token_in_the_settings_sends_nothing(tmp_path: Path) -> None:
    options = 'token="pylf_v1_us_a1b2c3", console=False, advanced=logfire.AdvancedOptions(base_url="{url}")'
    seen = await play(tmp_path, f"{HEAD}\nlogfire.configure({options})\n")
    assert seen.theirs.spans() == []
    assert len([line for line in seen.lines if "Set LOGFIRE_TOKEN" in line["message"]]) == 1
    assert [line["status"] for line in seen.lines if line.get("event") == "turn"] == ["complete"]


# --- without a server


@pytest.fixture
def instrumented() -> Iterator[None]:
    yield
    Agent.instrument_all(False)
    instrument._Own.settings = None
    masking.configure()


@pytest.mark.usefixtures("instrumented")
def test_content_is_taken_out_of_the_spans_of_single_agents_and_models() -> None:
    settings = [InstrumentationSettings() for _ in range(3)]
    default, of_agent, of_model = settings
    Agent.instrument_all(default)
    agent = Agent(InstrumentedModel(TestModel(), of_model))
    agent.instrument = of_agent
    assert instrument.restore([agent, None])
    assert [one.include_content for one in settings] == [False] * 3
    assert not instrument.restore([agent])


@pytest.mark.usefixtures("instrumented")
def test_all_agents_have_our_settings_again() -> None:
    instrument._instrument_agents()
    own = instrument._Own.settings
    assert not instrument.restore([])
    Agent.instrument_all(True)
    assert instrument.restore([])
    assert Agent._instrument_default is own


@pytest.mark.usefixtures("instrumented")
def test_content_that_may_be_captured_stays() -> None:
    masking.configure(capture_content=True)
    settings = InstrumentationSettings()
    Agent.instrument_all(settings)
    assert not instrument.restore([])
    assert settings.include_content


@pytest.mark.parametrize("snippet", ["remove", "configure", "patcher", "basicConfig"])
def test_log_lines_that_were_taken_away_are_back(snippet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", list(logging.getLogger().handlers))
    logs.configure(log_dir=str(tmp_path), level="INFO")
    try:
        assert not logs.restore()
        others: list[str] = []
        if snippet == "remove":
            logger.remove()
        elif snippet == "configure":
            logger.configure(handlers=[{"sink": others.append}])
        elif snippet == "patcher":
            logger.configure(patcher=lambda record: None)
        else:
            logging.basicConfig(force=True)
        assert logs.restore()
        assert not logs.restore()
        assert intercepted()
        logger.bind(extra={"size": "large"}).info("hello")
        (file,) = tmp_path.glob("*.log")
        (line,) = [json.loads(line) for line in file.read_text().splitlines()]
        assert (line["message"], line["size"]) == ("hello", "large")
        assert len(others) == (snippet == "configure")
    finally:
        logger.remove()
        logger.configure(patcher=lambda record: None)
        logs._handlers.clear()
        for module in logs.CHATTY:
            logger.disable(module)

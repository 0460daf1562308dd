"""Private values that an agent's own code logs, counts or traces are masked in every sink.

The agent's code logs, counts and traces with several libraries, and the values have many forms.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from .collectors import collecting
from .observed import TOKEN, observed

pytestmark = pytest.mark.anyio

PHONE = "+14155552671"
KEY = "-----BEGIN TEST KEY-----\ntestkeyline0001\ntestkeyline0002\n-----END TEST KEY-----"
QUOTED = 'test-"quoted\\99'
AGENT = '''
"""Logs, counts and traces a caller's number, secrets and words in many forms."""
import asyncio
import logging
import os
from concurrent.futures import ThreadPoolExecutor

from loguru import logger
from opentelemetry import metrics, trace

from layercode_app import Turn, VoiceAgent

agent = VoiceAgent("observed")
pool = ThreadPoolExecutor(1)
calls = metrics.get_meter("mine").create_counter("my.calls")


@agent.on_message
async def answer(turn: Turn) -> str:
    import logfire

    phone = turn.from_phone_number
    turn.log.info("key {}, password {}", os.environ["APP_PRIVATE_KEY"], os.environ["DB_PASSWORD"])
    turn.log.info("{} and {}", {"password": "testnamed1"}, turn.metadata)
    logger.bind(payload={"password": 'test"named2', "token": 987654321987}).info("bound")
    logging.getLogger("mine").info("%s", {"api_key": "testnamed3"})
    with turn.span(f"call {phone}", password="testnamed4"):
        span = trace.get_current_span()
        span.add_event(f"event {phone}")
        span.set_attribute("raw", phone.encode())
        span.set_attribute("gen_ai.prompt.0.content", turn.text)
    logfire.info(f"told {phone}", api_key="testnamed5")
    turn.count("calls", phone=phone)
    calls.add(1, {"phone": phone})

    def work() -> None:
        try:
            raise ValueError(f"no booking for {turn.text}")
        except ValueError:
            logger.exception("The work failed")

    await asyncio.get_running_loop().run_in_executor(pool, work)
    if "fail" in turn.text:
        raise ValueError(f"no table for {turn.text}")
    return "Done."


@agent.on_session_end
async def end(event) -> None:
    logger.info("The session ended, {}", event.metadata)
'''
METADATA = {
    "tokens": ["test-nested-1"],
    "users": [{"token": "test-nested-2"}],
    "credentials": {"value": "test-nested-3"},
    "api-key": "test-nested-4",
}
NEVER = (
    "testkeyline", "quoted", "testnamed", "named2", "987654321987", "test-nested", PHONE[1:], "marzipan", '"_told"', '"_error"'
)  # fmt: skip


async def test_nothing_private_is_in_any_sink(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"from_phone_number": PHONE, "metadata": METADATA}
    with collecting() as logfire, collecting() as otlp, collecting() as sentry:
        targets = {
            "LOGFIRE_TOKEN": TOKEN,
            "LOGFIRE_BASE_URL": logfire.url,
            "OTEL_EXPORTER_OTLP_ENDPOINT": otlp.url,
            "SENTRY_DSN": sentry.dsn,
            "APP_PRIVATE_KEY": KEY,
            "DB_PASSWORD": QUOTED,
        }
        async with observed(tmp_path, agent=AGENT, name="observed", **targets) as server:
            await server.say("marzipan", turn="t1", **fields)
            await server.say("marzipan, fail", turn="t2", conversation=PHONE, **fields)
            await server.send({"type": "session.end", "agent_id": "a", "transcript": [], **fields})
            await server.client._http.get(f"{server.url}/contacts/%2B{PHONE[1:]}")
            scraped = (await server.client._http.get(f"{server.url}/metrics")).text
            await server.stop()
            sinks = {
                "console": server.printed,
                "files": server.logged,
                "otlp": otlp.raw.decode(errors="replace"),
                "logfire": logfire.raw.decode(errors="replace"),
                "sentry": sentry.raw.decode(errors="replace"),
                "metrics": scraped,
            }
    found = {
        (name, word): [sink[max(match.start() - 60, 0) : match.end() + 20] for match in re.finditer(word, sink)][:2]
        for name, sink in sinks.items()
        for word in NEVER
        if word in sink
    }
    assert not found
    assert all("The session ended" in sinks[name] for name in ("console", "files"))
    assert all("+1…71" in sinks[name] for name in ("otlp", "logfire", "metrics"))

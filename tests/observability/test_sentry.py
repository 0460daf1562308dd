"""Errors reach a local Sentry server once each, with ids, while the caller hears the apology."""

from __future__ import annotations

from pathlib import Path

import pytest

from .collectors import collecting
from .observed import observed, spoken

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("text", "category", "kind"),
    [("the tool shall fail", "tool", "RuntimeError"), ("break the stream", "internal", "RuntimeError")],
)
@pytest.mark.slow
async def test_an_error_in_a_turn_is_one_event(text: str, category: str, kind: str, tmp_path: Path) -> None:
    with collecting() as sentry:
        env = {"SENTRY_DSN": sentry.dsn, "LAYERCODE_APOLOGY": "Sorry!", "APP_ENV": "test"}
        async with observed(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=sentry.url, **env) as server:
            frames = await server.say(text)
            await server.stop()

    assert spoken(frames) == "Let me see. Sorry!"
    assert [frame.type for frame in frames].count("response.end") == 1
    (event,) = sentry.errors()
    assert event["exception"]["values"][-1]["type"] == kind
    assert event["environment"] == "test"
    tags = event["tags"]
    assert tags["error.category"] == category
    assert (tags["conversation_id"], tags["session_id"], tags["turn_id"]) == ("conv-1", "sess-1", "turn-1")
    assert (tags["agent"], tags["event_type"], tags["impact"]) == ("observed", "message", "apology")
    turn = next(span for span in sentry.spans() if span.name == "turn observed")
    assert event["contexts"]["trace"]["trace_id"] == tags["trace_id"] == turn.trace_id
    assert turn.failed


async def test_an_error_in_a_hook_is_one_event(tmp_path: Path) -> None:
    with collecting() as sentry:
        async with observed(tmp_path, SENTRY_DSN=sentry.dsn) as server:
            status = await server.send({"type": "data", "turn_id": "turn-1", "data": {"button": "buy"}})
            await server.stop()
    assert status == 500
    (event,) = sentry.errors()
    assert event["exception"]["values"][-1]["type"] == "ValueError"
    assert event["tags"]["event_type"] == "data"


async def test_what_is_no_fault_of_the_agent_is_no_event(tmp_path: Path) -> None:
    with collecting() as sentry:
        async with observed(tmp_path, SENTRY_DSN=sentry.dsn) as server:
            event = {"type": "message", "text": "wait", "turn_id": "t1", "session_id": "s", "conversation_id": "c"}
            async with server.client.deliver(event) as answer:
                frames = answer.frames()
                await anext(frames)
            assert await server.send({"type": "message", "text": 7}) == 400
            await server.say("hello", turn="t2")
            await server.stop()
            lines = server.logged
    assert '"status":"interrupted"' in lines
    assert sentry.errors() == []


async def test_no_header_of_sentry_reaches_other_hosts(tmp_path: Path) -> None:
    from .test_spans import OUTGOING

    with collecting() as sentry, collecting() as other:
        async with observed(tmp_path, agent=OUTGOING, name="caller", SENTRY_DSN=sentry.dsn) as server:
            await server.say(other.url)
            await server.stop()
    assert len(other.headers) == 1
    assert not {"sentry-trace", "baggage", "traceparent"} & other.headers[0].keys()

"""Hostile texts reach Logfire, OTLP and Sentry as values, and nothing is lost or forged there.

The server's own output contains neither raw characters of these texts nor forged lines.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ..hostile import ALL, FAMILIES, HALF, LONG, assert_harmless
from ..observability.collectors import Collector, collecting
from ..observability.observed import TOKEN, Observed, observed

pytestmark = pytest.mark.anyio
AGENT = "from tests.hostile import hostile_agent\n\nagent = hostile_agent()\n"
TEXTS = {**FAMILIES, "half a character": HALF, "long": LONG, "all": ALL}


async def test_hostile_texts_are_values_in_every_exporter(tmp_path: Path) -> None:
    with collecting() as logfire, collecting() as otlp, collecting() as sentry:
        env = {
            "LOGFIRE_TOKEN": TOKEN, "LOGFIRE_BASE_URL": logfire.url, "OTEL_EXPORTER_OTLP_ENDPOINT": otlp.url,
            "SENTRY_DSN": sentry.dsn, "LAYERCODE_CAPTURE_CONTENT": "true",
        }  # fmt: skip
        async with observed(tmp_path, agent=AGENT, name="hostile", **env) as server:
            for name, text in TEXTS.items():
                await _call(server, name, text)
            assert (await server.stop())[0] == 0
            assert_harmless(server.printed)
        for sink in (logfire, otlp):
            _assert_spans_complete(sink)
        _assert_errors_complete(sentry)


async def _call(server: Observed, name: str, text: str) -> None:
    """Send one message whose turn calls the tool, and one whose turn fails, in a conversation with a hostile id."""
    said: dict[str, Any] = {
        "conversation": f"{name} {text}", "session_id": text[:500],
        "metadata": {"name": text, text: text}, "from_phone_number": text, "unknown_field": text,
    }  # fmt: skip
    await server.say(text, turn=f"good {text}", **said)
    await server.say(f"fail {text}", turn=f"bad {text}", **said)


def _assert_spans_complete(sink: Collector) -> None:
    """Check that the sink has, for each of TEXTS, the spans of one good turn and of one failed turn.

    The id of each conversation is the name of a text, a space and the text itself. The spans must have exactly this id.
    But of the id that contains half a character, only the name is compared.
    """
    turns = [span for span in sink.spans() if span.name == "turn hostile"]
    assert len(turns) == 2 * len(TEXTS)
    for name, text in TEXTS.items():
        own = [span for span in turns if str(span.attributes["gen_ai.conversation.id"]).startswith(f"{name} ")]
        assert len(own) == 2, name
        assert sorted(span.failed for span in own) == [False, True], name
        if name != "half a character":
            assert {span.attributes["gen_ai.conversation.id"] for span in own} == {f"{name} {text}"}


def _assert_errors_complete(sentry: Collector) -> None:
    """Fail if an error is missing, or if an envelope holds an item that Sentry's client did not write."""
    errors = sentry.errors()
    assert len(errors) == len(TEXTS)
    for event in errors:
        assert event["exception"]["values"][-1]["type"] == "RuntimeError"
        assert event["tags"]["impact"] == "apology"
    for path, body in sentry.bodies:
        if path.endswith("/envelope/"):
            header, *rest = body.rstrip(b"\n").split(b"\n")
            assert {"sent_at"} <= json.loads(header).keys()
            assert all(json.loads(item)["type"] for item in rest[::2])

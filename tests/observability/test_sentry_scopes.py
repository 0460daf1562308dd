"""Sentry data that an agent file sets during a turn stays with that turn, and is redacted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from layercode_app.observability.privacy.masked_values import masked

from .collectors import collecting
from .observed import observed, spoken

pytestmark = pytest.mark.anyio

PHONE, KEY = "+14155550123", "sk-" + "a1b2c3d4e5f6a7b8c9d0"
PASSWORD = "hunter2-hunter2"
AGENT = f"""
import sentry_sdk

from layercode_app import Turn, VoiceAgent

agent = VoiceAgent("marked")
# The password is reversed in the source, because Sentry sends the source lines around an error.
PASSWORD = "{PASSWORD[::-1]}"[::-1]
sentry_sdk.set_tag("deploy", "blue")


@agent.on_message
async def answer(turn: Turn) -> str:
    if turn.text == "mark":
        mark(sentry_sdk.get_isolation_scope())
        mark(sentry_sdk.get_current_scope())
        sentry_sdk.capture_message("called from {PHONE}", level="warning")
        sentry_sdk.metrics.count("orders", 1, attributes={{"phone": "{PHONE}"}})
    raise ValueError(f"no luck with {{turn.text}}")


def mark(scope):
    scope.set_tag("caller", "{PHONE}")
    scope.set_tag("api_key", PASSWORD)
    scope.set_tag("size", "large")
    scope.set_context("order", {{"phone": "{PHONE}", "nested": [{{"key": "{KEY}", "token": PASSWORD, "tokens": 7}}]}})
    scope.set_extra("note", "ring {PHONE}")
    scope.set_user({{"id": "caller-7", "phone": "{PHONE}"}})
    scope.add_breadcrumb(category="order", message="dialled {PHONE}", data={{"password": PASSWORD}})
    scope.add_attachment(bytes=b"{PHONE}", filename="call.txt")
    with sentry_sdk.start_transaction(name="ring {PHONE}", sampled=True):
        pass
"""


@dataclass
class Seen:
    """The events that Sentry received from three turns. The agent set data in its Sentry scopes only in the first turn.

    `marked` is the error of the first turn, `message` is the message of that turn, and `others` are the other errors.
    """

    marked: dict[str, Any]
    message: dict[str, Any]
    others: list[dict[str, Any]]
    raw: bytes


@pytest.fixture(scope="module")
async def seen(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Seen]:
    with collecting() as sentry:
        folder = tmp_path_factory.mktemp("scopes")
        async with observed(folder, agent=AGENT, name="marked", SENTRY_DSN=sentry.dsn, LOG_FORMAT="json") as server:
            for number, text in enumerate(("mark", "other", "third")):
                frames = await server.say(text, turn=f"t{number}", conversation=f"c{number}")
                assert "Sorry" in spoken(frames)
            await server.stop()
        errors = sentry.errors()
        by_turn = {event["tags"]["turn_id"]: event for event in errors if "exception" in event}
        (message,) = [event for event in errors if "exception" not in event]
        yield Seen(by_turn["t0"], message, [by_turn["t1"], by_turn["t2"]], sentry.raw)


async def test_no_other_turn_is_marked(seen: Seen) -> None:
    for event in seen.others:
        assert "order" not in event["contexts"]
        assert not {"caller", "size", "api_key"} & event["tags"].keys()
        assert not event.get("user")
        assert not event.get("breadcrumbs", {}).get("values")
        assert "note" not in event.get("extra", {})


async def test_what_was_set_when_the_agent_file_was_loaded_is_on_all(seen: Seen) -> None:
    assert {event["tags"]["deploy"] for event in (seen.marked, seen.message, *seen.others)} == {"blue"}


async def test_each_turn_has_a_trace_of_its_own(seen: Seen) -> None:
    traces = [event["contexts"]["trace"]["trace_id"] for event in (seen.marked, *seen.others)]
    assert len(set(traces)) == 3
    assert seen.message["contexts"]["trace"]["trace_id"] == traces[0]


async def test_what_the_agent_set_is_sent_and_masked(seen: Seen) -> None:
    for event in (seen.marked, seen.message):
        assert event["tags"]["size"] == "large"
        assert event["tags"]["caller"] == "+1…23"
        assert event["tags"]["api_key"] == "[redacted]"
        assert event["contexts"]["order"]["phone"] == "+1…23"
        assert event["contexts"]["order"]["nested"] == [{"key": "[redacted]", "token": "[redacted]", "tokens": 7}]
        assert event["user"] == {"id": "caller-7", "phone": "+1…23"}
        assert event["extra"]["note"] == "ring +1…23"
        (crumb, *_) = event["breadcrumbs"]["values"]
        assert (crumb["message"], crumb["data"]) == ("dialled +1…23", {"password": "[redacted]"})
    assert seen.message["message"] == "called from +1…23"
    assert seen.message["tags"]["turn_id"] == "t0"


async def test_nothing_is_sent_in_clear(seen: Seen) -> None:
    for secret in (PHONE, KEY, PASSWORD, "no luck with mark"):
        assert secret.encode() not in seen.raw


def test_masking_leaves_figures_and_shapes() -> None:
    value = {"a": 1, "b": (None, True, 2.5), "token": "", PHONE: Path("/x")}
    assert masked(value) == {"a": 1, "b": [None, True, 2.5], "token": "", "+1…23": "/x"}

"""Redaction masks secrets and phone numbers, and leaves other text unchanged."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layercode_app.observability import context
from layercode_app.observability.privacy import caller_secrets, masking


def test_a_callers_secrets_are_masked_outside_of_their_turn() -> None:
    caller_secrets.remember({"token": "test-caller-1", "deep": {"password": "test-caller-2"}, "user": "somebody"})
    assert masking.clean("test-caller-1 test-caller-2 somebody") == "[redacted] [redacted] somebody"


def test_only_the_newest_secrets_of_callers_are_kept() -> None:
    for number in range(caller_secrets.KEPT + 1):
        caller_secrets.remember({"token": f"test-caller-{number:04}"})
    assert masking.clean("test-caller-0000 test-caller-0001") == "test-caller-0000 [redacted]"


class _Turn:
    """The current turn, as far as masking reads it."""

    def __init__(self, metadata: dict[str, Any]) -> None:
        self.metadata = metadata
        self.conversation_id = self.session_id = self.turn_id = self.agent = self.trace_id = self.span_id = ""


@pytest.mark.parametrize(
    "metadata",
    [
        {"orders": [{"sku": f"item-{number}", "n": number} for number in range(4000)]},
        {f"token{number}": f"test-caller-{number:04}" for number in range(4 * caller_secrets.KEPT)},
    ],
)
def test_a_turns_secrets_are_searched_for_only_once(metadata: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with context.within(_Turn(metadata)):
        masking.clean("to fill the caches")
        for name in ("dump_json", "quote"):
            monkeypatch.setattr(masking, name, None)
        monkeypatch.setattr(caller_secrets, "is_secret_name", None)
        assert masking.clean("test-caller-9999 item-1") == "test-caller-9999 item-1"
        assert masking.is_clean("item-2")


def test_secrets_that_an_agent_adds_to_the_metadata_are_masked_at_once() -> None:
    metadata: dict[str, Any] = {"user": {"name": "somebody"}}
    with context.within(_Turn(metadata)):
        assert masking.clean("test-caller-1") == "test-caller-1"
        metadata["user"]["token"] = "test-caller-1"
        assert masking.clean("test-caller-1") == masking.MASK
        metadata["user"]["token"] = "test-caller-2"
        assert masking.clean("test-caller-2") == masking.MASK
        metadata["session"] = {"token": "test-caller-3", "of": _Turn({})}
        assert masking.clean("test-caller-3") == masking.MASK


def test_an_error_is_hidden_in_a_request_and_where_nobody_knows_whose_it_is() -> None:
    error = ValueError("marzipan")
    assert masking.message_of(error) == "marzipan"
    with context.for_reader():
        assert masking.message_of(error) == masking.HIDDEN
        assert "marzipan" not in masking.describe(error)
    token = context.request.set(context.Request("POST", "/api/authorize", 0.0))
    assert masking.message_of(error) == masking.HIDDEN
    context.request.reset(token)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pass it via `OpenAIProvider(api_key=...)` to use it", "pass it via `OpenAIProvider(api_key=...)` to use it"),
        ("password=*** and more", "password=*** and more"),
        ("Client(api_key=test-1234).get()", "Client(api_key=[redacted])"),
        ("Client(api_key=test-1234) failed", "Client(api_key=[redacted]) failed"),
        ("(token='test-1234')", "(token='[redacted]')"),
        ("password=test)1234 failed", "password=[redacted] failed"),
        ("?token=...test&x=1", "?token=[redacted]&x=1"),
    ],
)
def test_what_is_assigned_to_a_name_of_a_secret_is_masked_and_no_more(text: str, shown: str) -> None:
    assert masking.clean(text) == shown


@given(st.text(alphabet="ab1)(.`=&;,_ '\\", max_size=40), st.text(alphabet="xyz)9-._", min_size=1, max_size=20))
def test_no_letter_or_digit_of_a_secret_is_shown(before: str, secret: str) -> None:
    shown = masking.clean(f"{before} token={secret} after")
    if any(c.isalnum() for c in secret):
        assert not any(
            c in shown.partition("token=")[2].removesuffix(" after").replace("[redacted]", "") for c in "xyz9"
        )


async def _messages() -> list[str]:
    error, loop = ValueError("marzipan"), asyncio.get_running_loop()
    raw = await loop.run_in_executor(None, masking.message_of, error)
    return [raw, await asyncio.to_thread(masking.message_of, error)]


@pytest.mark.parametrize(
    "start", [threading.Thread, lambda target: threading.Timer(0, target)], ids=["thread", "timer"]
)
def test_an_error_in_a_thread_of_the_agents_own_is_hidden(start: Callable[..., threading.Thread]) -> None:
    shown: list[str] = []
    thread = start(target=lambda: shown.append(masking.describe(ValueError("marzipan"))))
    thread.start()
    thread.join()
    assert shown[0].endswith(f"ValueError: {masking.HIDDEN}")


def test_an_error_in_a_pool_is_hidden_unless_the_thread_has_the_context_of_our_own_work() -> None:
    def run() -> list[str]:
        context.mark()
        return asyncio.run(_messages())

    assert copy_context().run(run) == [masking.HIDDEN, "marzipan"]

"""Secrets, phone numbers and transcripts are sent along every path of a server, and are then searched for in all sinks.

No sink contains a secret or a phone number. Sinks contain transcripts only with LAYERCODE_CAPTURE_CONTENT=true.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from layercode_app.webhook import sign

from .collectors import collecting
from .observed import SECRET, TOKEN, Observed, observed

pytestmark = pytest.mark.anyio

API_KEY = "test-api-key-0815-abcdef"
PROVIDER_KEY = "test-provider-key-99887766"
CALLER_TOKEN = "test-caller-token-55443322"
PHONES = ("+14155552671", "+4915112345678")
TRANSCRIPT = ("marzipan", "secretly", "gingerbread")

FIELDS: dict[str, Any] = {
    "from_phone_number": PHONES[0],
    "to_phone_number": PHONES[1],
    "metadata": {"token": CALLER_TOKEN, "user": "u-1"},
}

CALLER = {"agent_id": "a-1", "metadata": {"token": CALLER_TOKEN, "order": "marzipan"}}
HIDDEN_ERRORS = (
    "The turn failed: tool",
    "The hook for data failed",
    "The hook for weather.report failed",
    "The on_authorize hook failed",
    "Task exception was never retrieved (fail_later)",
    "Exception in callback",
    "Exception in a thread: RuntimeError",
    "Exception ignored in Unlucky.__del__: RuntimeError",
)
"""The log message of each error whose text quotes the caller. The log contains this message instead of the text."""


async def every_path(server: Observed) -> str:
    """Send secrets and transcripts in turns that succeed, in turns and hooks that fail, and in refused requests.

    Return a signature that was sent.
    """
    await server.send({"type": "session.start", "turn_id": "g1", **FIELDS})
    await server.say("marzipan with the tool", turn="t1", **FIELDS)
    await server.say("secretly fail in the tool", turn="t2", **FIELDS)
    await server.say("break the stream of gingerbread", turn="t3", **FIELDS)
    await server.say("leave marzipan behind in the tool", turn="t6", **FIELDS)
    await server.send({"type": "data", "turn_id": "t3", "data": {"wish": "marzipan"}, **FIELDS})
    await server.send({"type": "weather.report", "wish": "marzipan", **FIELDS})
    ended = [{"role": "user", "text": "gingerbread", "timestamp": 1}]
    await server.send({"type": "session.end", "agent_id": "a", "transcript": ended, **FIELDS})
    await server.send({"type": "message", "turn_id": "t4", "text": {"marzipan": 1}, **FIELDS})
    await server.send({"type": "message", "turn_id": "t5", "text": "x", "metadata": "gingerbread +14155552671"})
    return await refused(server)


async def refused(server: Observed) -> str:
    """Send requests that the server refuses. Return the signature of the first request.

    The first request has an invalid body and a correct signature. The second has the same body and a wrong signature.
    Two requests to `/api/authorize` and a request for an unknown path follow.
    """
    http = server.client._http
    body = b'{"type": "message", "text": "marzipan", not json'
    signature = sign(body, SECRET)
    url = server.url + "/api/agent"
    await http.post(url, content=body, headers={"layercode-signature": signature})
    await http.post(url, content=body, headers={"layercode-signature": "v1=marzipan", "authorization": API_KEY})
    page = {"origin": "https://shop.example"}
    await http.post(f"{server.url}/api/authorize?token={CALLER_TOKEN}", json=CALLER, headers=page)
    await http.post(f"{server.url}/api/authorize?token={CALLER_TOKEN}", json={"metadata": {"token": CALLER_TOKEN}})
    await http.get(server.url + f"/nowhere?api_key={API_KEY}")
    return signature.partition("v1=")[2]


async def run(folder: Path, verbose: bool, capture: bool, log_format: str) -> tuple[dict[str, bytes], str]:
    """Run a server with every sink. Return the bytes of each sink, by its name, and the signature of a request."""
    with collecting() as logfire, collecting() as otlp, collecting() as sentry:
        env = {
            "LOGFIRE_TOKEN": TOKEN, "LOGFIRE_BASE_URL": logfire.url, "OTEL_EXPORTER_OTLP_ENDPOINT": otlp.url,
            "SENTRY_DSN": sentry.dsn, "LAYERCODE_API_KEY": API_KEY, "OPENAI_API_KEY": PROVIDER_KEY,
            "LAYERCODE_API_URL": "http://127.0.0.1:9/v1", "LOG_FORMAT": log_format, "LOG_PER_AGENT": "true",
            "LAYERCODE_CAPTURE_CONTENT": str(capture).lower(),
            "LAYERCODE_AUTHORIZE_ORIGINS": "https://shop.example", "LAYERCODE_AUTHORIZE_AGENTS": "*",
        }  # fmt: skip
        async with observed(folder, *(["--verbose"] if verbose else []), **env) as server:
            signature = await every_path(server)
            scraped = (await server.client._http.get(server.url + "/metrics")).content
            await server.stop()
            printed, logged = server.printed, server.logged
        assert len(otlp.spans()) > 20
        assert len(sentry.errors()) >= len(HIDDEN_ERRORS)
        for message in HIDDEN_ERRORS:
            assert message in server.printed, message
        # The token of a sink is in the headers of the requests to that sink, and nowhere else.
        for headers in logfire.headers:
            assert headers.pop("authorization") == TOKEN
        for headers in sentry.headers:
            headers.pop("x-sentry-auth", None)
        sinks = {"logfire": logfire.raw, "otlp": otlp.raw, "sentry": sentry.raw, "metrics": scraped}
        return sinks | {"console": printed.encode(), "files": logged.encode()}, signature


def assert_absent(sinks: dict[str, bytes], *words: str) -> None:
    for name, content in sinks.items():
        for word in words:
            at = content.find(word.encode())
            assert at < 0, f"{word} is in {name}: {content[max(at - 300, 0) : at + 100]!r}"


@pytest.mark.parametrize(("verbose", "log_format"), [(False, "console"), (True, "console"), (True, "json")])
@pytest.mark.slow
async def test_no_sink_gets_secrets_phone_numbers_or_content(verbose: bool, log_format: str, tmp_path: Path) -> None:
    sinks, signature = await run(tmp_path, verbose, False, log_format)
    assert_absent(sinks, SECRET, API_KEY, PROVIDER_KEY, CALLER_TOKEN, TOKEN, signature, "ab" * 32)
    assert_absent(sinks, *PHONES, *(phone[1:] for phone in PHONES))
    assert_absent(sinks, *TRANSCRIPT)
    assert b"turn-1" not in sinks["metrics"]
    assert b"conv-1" in sinks["files"]


async def test_captured_content_is_transcripts_and_nothing_else(tmp_path: Path) -> None:
    sinks, signature = await run(tmp_path, True, True, "console")
    assert_absent(sinks, SECRET, API_KEY, PROVIDER_KEY, CALLER_TOKEN, TOKEN, signature, "ab" * 32)
    assert_absent(sinks, *PHONES, *(phone[1:] for phone in PHONES))
    for name in ("otlp", "logfire", "console", "files", "sentry"):
        assert b"secretly fail" in sinks[name], name

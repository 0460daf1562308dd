"""With a wrong sink setting, the server exits with code 2. Its only error names the setting and shows no secret."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ..processes import command

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOGFIRE_TOKEN", "not-a-token-abcdef"),
        ("SENTRY_DSN", "https://sentry-abcdef.example"),
        ("SENTRY_DSN", "nonsense-abcdef"),
        ("LOG_ROTATION", "banana"),
        ("LOG_RETENTION", "banana"),
        ("LOG_LEVEL", "banana"),
        ("LOG_FORMAT", "banana"),
        ("LOG_HEADERS", "user-agent,authorization"),
        ("LAYERCODE_TRACE_RATE", "7"),
        ("LAYERCODE_CAPTURE_CONTENT", "banana"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_TRACES_SAMPLER", "banana"),
        ("OTEL_TRACES_SAMPLER_ARG", "banana"),
    ],
)
async def test_it_is_one_error_that_names_the_setting(name: str, value: str, tmp_path: Path) -> None:
    env = {"LAYERCODE_WEBHOOK_SECRET": "test-secret", "TELEMETRY_ENABLED": "true", "PORT": "0", name: value}
    async with command("run", "--agent", "echo", "--host", "127.0.0.1", cwd=tmp_path, env=env) as process:
        code = await asyncio.wait_for(process.wait(), 100)
    printed = (tmp_path / "output.txt").read_text()
    assert code == 2, printed
    assert printed.count(name) == 1, printed
    assert "Traceback" not in printed
    if name in ("LOGFIRE_TOKEN", "SENTRY_DSN"):
        assert value not in printed

"""Check the settings of sinks before the app starts. Later, a wrong setting would show only as missing data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from ..exceptions import ConfigurationError
from ..settings import Settings
from . import logs

TOKEN = re.compile(r"pylf_v\d+_(?P<region>[a-z]+)_\w+")
FORBIDDEN_HEADERS = ("authorization", "cookie", "set-cookie", "layercode-signature", "proxy-authorization", "x-api-key")
ENDPOINTS = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "LOGFIRE_BASE_URL",
)
SAMPLERS = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)


def check(settings: Settings, environment: Mapping[str, str]) -> None:
    """Raise ConfigurationError for the first wrong setting. The error never contains the value of a secret."""
    logs.check(rotation=settings.log_rotation, retention=settings.log_retention)
    for header in settings.log_headers:
        if header.lower() in FORBIDDEN_HEADERS:
            raise ConfigurationError(
                f"LOG_HEADERS {header!r}: this header holds a secret and is never logged. Remove it from the setting."
            )
    _check_rate("LAYERCODE_TRACE_RATE", str(settings.trace_rate))
    if settings.telemetry_enabled:
        _check_logfire(settings)
        _check_sentry(settings)
        _check_otel(environment)


def _check_logfire(settings: Settings) -> None:
    token = settings.logfire_token
    if token is not None and not TOKEN.fullmatch(token.get_secret_value()):
        raise ConfigurationError(
            "LOGFIRE_TOKEN has the wrong form: expected a write token such as pylf_v1_us_..., from your project's "
            "settings at Logfire. To run without Logfire, remove the setting."
        )


def _check_sentry(settings: Settings) -> None:
    if settings.sentry_dsn is None:
        return
    parts = urlsplit(settings.sentry_dsn.get_secret_value())
    try:
        host = parts.hostname if parts.port is None or parts.port else None
    except ValueError:
        host = None
    project = parts.path.rstrip("/").rpartition("/")[2]
    if parts.scheme not in ("http", "https") or not host or not parts.username or not project.isdigit():
        raise ConfigurationError(
            "SENTRY_DSN is malformed: expected https://KEY@HOST/PROJECT_NUMBER, from the project's client keys at "
            "Sentry. To run without Sentry, remove the setting."
        )


def _check_otel(environment: Mapping[str, str]) -> None:
    for name in ENDPOINTS:
        value = environment.get(name, "")
        if value and not re.fullmatch(r"https?://[^/\s:]+(:\d+)?(/\S*)?", value):
            raise ConfigurationError(f"{name} is malformed: expected a URL such as http://localhost:4318.")
    protocol = environment.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"
    if protocol != "http/protobuf":
        raise ConfigurationError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL {protocol!r}: expected http/protobuf. Most collectors listen for it on port 4318."
        )
    sampler = environment.get("OTEL_TRACES_SAMPLER")
    if sampler and sampler not in SAMPLERS:
        raise ConfigurationError(f"OTEL_TRACES_SAMPLER {sampler!r}: expected one of {', '.join(SAMPLERS)}.")
    if argument := environment.get("OTEL_TRACES_SAMPLER_ARG"):
        _check_rate("OTEL_TRACES_SAMPLER_ARG", argument)


def _check_rate(name: str, value: str) -> None:
    try:
        rate = float(value)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1:
        raise ConfigurationError(f"{name} {value!r}: expected a share from 0 to 1, such as 0.1.")

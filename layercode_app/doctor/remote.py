"""Checks that need the network: the model, the clock, the platform, and the telemetry backends.

If a host on the internet cannot be reached, its check is skipped, because this machine may simply be offline. But if
the webhook cannot be reached, its check fails. The platform was asked before and did answer, so this machine is online.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import httpx

from ..agent.models import choose_model, given_model
from ..agent.offline import MODEL_NAME
from ..exceptions import ConfigurationError, PlatformAPIError
from ..observability.checks import TOKEN
from ..observability.errors import category_of
from ..platform.client import PlatformClient
from ..platform.probe import probe
from ..settings import Settings
from .finding import Finding, failed, ok, skipped, warning

if TYPE_CHECKING:
    from ..agent.voice_agent import VoiceAgent

SKEW_LIMIT, SKEW_WARNING = 300.0, 30.0
"""Clock skew in seconds: above SKEW_LIMIT signatures are refused; above SKEW_WARNING the check only warns."""
TIMEOUT_SECONDS = 10.0
NO_NETWORK = "the network that this check needs is not reachable"


async def check_model(voice: VoiceAgent[Any, Any], settings: Settings) -> Finding:
    """Check that the agent's model answers a request for a single token."""
    name = f"model of {voice.name}"
    if voice.agent is None:
        return skipped(name, "the agent needs no model")
    try:
        choose_model(voice, settings)
    except ConfigurationError as error:
        return failed(
            name, str(error), "`run` will not start until the setting is corrected or the missing value is set."
        )
    if voice.selects_model:
        return skipped(name, "the agent selects its model in each call")
    model = voice.model or given_model(voice.agent)
    label = str(getattr(model, "model_name", model))
    if label == MODEL_NAME:
        return warning(
            name, "answers offline, from its script", "To use a model, set DEFAULT_MODEL and its provider's key."
        )
    return await _ask(name, label, model)


async def _ask(name: str, label: str, model: Any) -> Finding:
    from pydantic_ai.direct import model_request_stream
    from pydantic_ai.messages import ModelRequest

    begun = time.perf_counter()
    try:
        settings: Any = {"max_tokens": 1, "timeout": TIMEOUT_SECONDS}
        asked = [ModelRequest.user_text_prompt("Hi")]
        async with model_request_stream(model, asked, model_settings=settings) as events:
            async for _ in events:
                pass
    except Exception as error:  # noqa: BLE001 - a provider's library may raise anything
        category = category_of(error)
        if category == "network":
            return skipped(name, f"{label}: {NO_NETWORK}")
        if _cut_short(error):
            return ok(name, f"{label} answers")
        fix = {"authentication": "Check the provider's key.", "rate_limit": "Wait, or raise the account's limit."}
        return failed(name, f"{label} refused: {category}", fix.get(category, "Check DEFAULT_MODEL and the provider."))
    return ok(name, f"{label} answers in {(time.perf_counter() - begun) * 1000:.0f} ms")


def _cut_short(error: Exception) -> bool:
    """Return whether the request failed only because of its limit of one token, which means that the model works."""
    text = str(error).lower()
    return "max_tokens" in text or "max_output_tokens" in text or "token limit" in text


async def check_clock(settings: Settings) -> Finding:
    """Compare this machine's clock with the platform's."""
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
            stated = (await client.get(settings.api_url)).headers.get("date", "")
        skew = time.time() - parsedate_to_datetime(stated).timestamp()
    except (httpx.HTTPError, httpx.InvalidURL):
        return skipped("clock", NO_NETWORK)
    except ValueError:
        return skipped("clock", "the platform's response has no date")
    if abs(skew) < SKEW_WARNING:
        return ok("clock", "agrees with the platform's")
    found = failed if abs(skew) > SKEW_LIMIT else warning
    where = "ahead of" if skew > 0 else "behind"
    return found("clock", f"{abs(skew):.0f} s {where} the platform's; beyond {SKEW_LIMIT:.0f} s every webhook is refused",
                 "Synchronize the clock: `timedatectl set-ntp true`, or the equivalent of your system.")  # fmt: skip


async def check_platform(settings: Settings) -> AsyncIterator[Finding]:
    """Check that the API key works, that the agent exists, and that its webhook works.

    The webhook must reach a server that has our secret, and the answer must arrive unbuffered.
    """
    if settings.api_key is None or settings.agent_id is None:
        yield skipped("webhook at the platform", "needs LAYERCODE_API_KEY and LAYERCODE_AGENT_ID")
        return
    name = "webhook at the platform"
    try:
        async with PlatformClient.from_settings(settings) as client:
            agent = await client.agent(settings.agent_id)
    except PlatformAPIError as error:
        yield _refused(name, error, settings)
        return
    if agent.webhook_url is None:
        yield failed(name, f"{agent.id} has no webhook", "Set it with `connect` or `platform agents set-webhook`.")
        return
    for place, other in agent.contradictions().items():
        yield warning(f"webhook at {place}", f"{other}, not {agent.webhook_url}",
                      "If calls go to the first URL, replace it with the second in the platform's dashboard.")  # fmt: skip
    yield await _through(agent.webhook_url, settings)


def _refused(name: str, error: PlatformAPIError, settings: Settings) -> Finding:
    if error.unreachable:
        if _is_local(settings.api_url):
            return failed(name, str(error), "Start the server at LAYERCODE_API_URL, or remove that setting.")
        return skipped(name, NO_NETWORK)
    if error.status is not None and 400 <= error.status < 500:
        return failed(name, str(error), "Check LAYERCODE_API_KEY and LAYERCODE_AGENT_ID.")
    return failed(name, str(error), "Try again. If it fails again, check LAYERCODE_API_URL.")


async def _through(url: str, settings: Settings) -> Finding:
    secrets = [secret.get_secret_value() for secret in settings.webhook_secret]
    if not secrets:
        return skipped("webhook at the platform", f"{url} cannot be tested without a webhook secret")
    verdict = await probe(url, secrets[0])
    if verdict.fine:
        took = f"{verdict.milliseconds:.0f} ms"
        return ok(
            "webhook at the platform", f"{url} reaches a server that has this secret, and answers in {took}, unbuffered"
        )
    if verdict.reached:
        return failed("webhook at the platform", verdict.reason, "Turn the proxy's buffering off for this path.")
    return failed("webhook at the platform", verdict.reason,
                  "Start that server, or point the webhook at this one: `connect`, or `run --tunnel --update-webhook`.")  # fmt: skip


async def check_sinks(settings: Settings, environment: Mapping[str, str]) -> AsyncIterator[Finding]:
    """Check that each configured sink (Logfire, OTLP collector, Sentry) accepts a test."""
    if not settings.telemetry_enabled:
        yield skipped("telemetry", "TELEMETRY_ENABLED is false")
        return
    if settings.logfire_token is not None:
        token = settings.logfire_token.get_secret_value()
        found = TOKEN.fullmatch(token)
        region = "eu" if found and found["region"] == "eu" else "us"
        base = environment.get("LOGFIRE_BASE_URL") or f"https://logfire-{region}.pydantic.dev"
        yield await _otlp("Logfire", f"{base.rstrip('/')}/v1/traces", {"authorization": token}, "LOGFIRE_TOKEN")
    traces = environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    common = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if endpoint := traces or (common and f"{common.rstrip('/')}/v1/traces"):
        headers = _headers(environment.get("OTEL_EXPORTER_OTLP_HEADERS", ""))
        yield await _otlp("OTLP collector", endpoint, headers, "OTEL_EXPORTER_OTLP_ENDPOINT")
    if settings.sentry_dsn is not None:
        yield await _sentry(settings.sentry_dsn.get_secret_value())


def _headers(text: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    return {name.strip(): unquote(value.strip()) for name, _, value in pairs}


async def _otlp(name: str, url: str, headers: Mapping[str, str], setting: str) -> Finding:
    # An empty body is a valid export request without spans.
    return await _post(name, url, b"", {**headers, "content-type": "application/x-protobuf"}, setting)


async def _sentry(dsn: str) -> Finding:
    parts = urlsplit(dsn)
    path, _, project = parts.path.rstrip("/").rpartition("/")
    address = parts.netloc.rpartition("@")[2]
    url = f"{parts.scheme}://{address}{path}/api/{project}/envelope/"
    event = uuid4().hex
    item = json.dumps(
        {"event_id": event, "level": "info", "message": "layercode-app doctor: a test", "platform": "python"}
    )
    lines = [json.dumps({"event_id": event}), json.dumps({"type": "event"}), item]
    headers = {
        "content-type": "application/x-sentry-envelope",
        "x-sentry-auth": f"Sentry sentry_version=7, sentry_key={parts.username}, sentry_client=layercode-app/doctor",
    }
    return await _post("Sentry", url, "\n".join(lines).encode(), headers, "SENTRY_DSN")


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")


async def _post(name: str, url: str, body: bytes, headers: Mapping[str, str], setting: str) -> Finding:
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
            answer = await client.post(url, content=body, headers=dict(headers))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        if _is_local(url):
            return failed(name, f"no server answers at {url}: {type(error).__name__}", f"Start it, or unset {setting}.")
        return skipped(name, NO_NETWORK)
    if answer.is_success:
        return ok(name, "accepted a test")
    return failed(name, f"answered {answer.status_code} to a test", f"Check {setting}.")

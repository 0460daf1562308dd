"""Set every sink up, once per process, from the settings, and close them within a bound.

An embedded app never does; it may ask for metrics alone.

What a sink needs is imported only when the sink is wanted.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from .. import settings as environment
from . import checks, debug_run, logs, metrics, redaction
from .attempts import attempt
from .bounded import wait_for
from .host_figures import observe

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

    from ..settings import Settings
    from .prometheus import Prometheus
    from .tracing import Tracing

CLOSE_SECONDS = 2.2


class _Sinks:
    """Those of this process that are open."""

    tracing: Tracing | None = None
    prometheus: Prometheus | None = None
    sentry = False
    settings: Settings | None = None
    """Those that the sinks were set up with; None where they are a host's."""
    lock = threading.Lock()


def configure(settings: Settings, *, verbose: bool = False, serving: bool = True, developing: bool = False) -> None:
    """Check the settings and begin to observe; `verbose` is a debug run.

    `developing` is for a developer's own terminal, where errors of the agent are shown with what they say. A process that only watches over workers is not `serving`: it logs, and has no other sink. Calling it again changes
    the logs only. Raises ConfigurationError that names the setting which is wrong.
    """
    variables = environment.environment()
    checks.check(settings, variables)
    redaction.configure(secrets=[*_secrets(settings), *redaction.secret_values(variables)],
                        capture_content=settings.capture_content)  # fmt: skip
    # An agent file may use Logfire where no token is set; that is nothing to warn of.
    environment.overlay({"LOGFIRE_IGNORE_NO_CONFIG": "1"})
    debug_run.verbose = verbose
    logs.configure(
        level="DEBUG" if verbose else settings.log_level,
        log_dir=settings.log_dir,
        log_format=settings.log_format,
        rotation=settings.log_rotation,
        retention=settings.log_retention,
        per_agent=settings.log_per_agent,
        brief=developing and not verbose,
        common=_common(settings),
    )
    _Sinks.settings = settings
    if serving and settings.telemetry_enabled:
        with _Sinks.lock:
            _open(settings, verbose)


def _common(settings: Settings) -> dict[str, str]:
    """What is on every JSON line; a project without a version has none there."""
    version = environment.service_version(settings)
    found = {"service": settings.service_name, "version": version, "environment": settings.app_env}
    return {name: value for name, value in found.items() if value or name != "version"}


def _open(settings: Settings, verbose: bool) -> None:
    if settings.sentry_dsn is not None:
        attempt("Sentry", partial(_open_sentry, settings))
    if _Sinks.prometheus is None:
        attempt("Prometheus", partial(_open_metrics, settings))
    if _Sinks.tracing is None and (_wants_tracing(settings) or verbose):
        attempt("Tracing", partial(_open_tracing, settings, verbose))


def _open_sentry(settings: Settings) -> None:
    from . import sentry

    # Again after every change of the logs, which it listens to.
    sentry.configure(settings)
    _Sinks.sentry = True


def _open_tracing(settings: Settings, verbose: bool) -> None:
    from .instrument import instrument
    from .tracing import Tracing

    _Sinks.tracing = Tracing(settings, environment.environment(), tree=_tree(settings, verbose))
    _use_metrics()
    instrument(settings.trace_hosts)


def keep_ours(agents: Iterable[Any] = ()) -> None:
    """Undo what agent files, which were loaded just now, changed of the sinks; `agents` are theirs, of PydanticAI."""
    settings = _Sinks.settings
    if settings is None:
        return
    from . import overrides

    with _Sinks.lock:
        overrides.undo(settings, _Sinks.tracing, agents)
        if "layercode_app.observability.sentry" in sys.modules:
            from . import sentry

            _Sinks.sentry = sentry.active()


def _open_metrics(settings: Settings) -> None:
    from .prometheus import Prometheus

    _Sinks.prometheus = Prometheus(settings.metrics_dir)
    _use_metrics()


def keep_metrics() -> None:
    """Keep metrics in a process that is not ours: for `/metrics`, and in the host's OpenTelemetry where it has one."""
    with _Sinks.lock:
        if _Sinks.prometheus is None:
            from .prometheus import Prometheus

            _Sinks.prometheus = Prometheus(None)
            metrics.use([_Sinks.prometheus, metrics.OTelMetrics()])


def _use_metrics() -> None:
    sinks: list[metrics.MetricSink] = [_Sinks.prometheus] if _Sinks.prometheus else []
    if _Sinks.tracing is not None and _Sinks.tracing.active:
        sinks.append(metrics.OTelMetrics())
        attempt("The host's figures", observe)
    metrics.use(sinks)


def _tree(settings: Settings, verbose: bool) -> SpanProcessor | None:
    if not verbose or settings.log_format == "json":
        return None
    from .span_tree import SpanTree

    return SpanTree()


def _wants_tracing(settings: Settings) -> bool:
    variables = environment.environment()
    names = [f"OTEL_EXPORTER_OTLP_{signal}ENDPOINT" for signal in ("", "TRACES_", "METRICS_")]
    disabled = variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return not disabled and (settings.logfire_token is not None or any(variables.get(name) for name in names))


def _secrets(settings: Settings) -> list[str]:
    found = [*settings.webhook_secret, *settings.agent_secrets.values()]
    found += [value for value in (settings.api_key, settings.logfire_token, settings.sentry_dsn) if value is not None]
    return [value.get_secret_value() for value in found]


def prometheus_text() -> bytes | None:
    """What `/metrics` answers; None when nobody keeps metrics."""
    return _Sinks.prometheus.text() if _Sinks.prometheus is not None else None


def shutdown() -> None:
    """Send what is left to every sink at once, within CLOSE_SECONDS altogether. Harmless when nothing is open.

    Call it before the process ends by a signal: `atexit` does not run then.
    """
    from loguru import logger

    closers = []
    if _Sinks.tracing is not None:
        closers.append(_Sinks.tracing.close)
    if _Sinks.sentry:
        from . import sentry

        closers.append(sentry.close)
    if _Sinks.prometheus is not None:
        closers.append(_Sinks.prometheus.close)
    wait_for(closers, CLOSE_SECONDS)
    logger.complete()
    _Sinks.sentry = False

"""Set up all sinks once per process from the settings, and close them with a timeout.

An embedded app does not call `configure`; it can turn on metrics, with `keep_metrics`, and nothing else. The libraries
of a sink are imported only if the sink is used.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from .. import settings as environment
from .._compat.loguru import leave_at_exit
from . import checks, context, debug_run, logs, metrics
from .attempts import attempt
from .bounded import wait_for
from .host_figures import observe
from .pipes import STDERR, STDOUT
from .privacy import masking

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

    from ..settings import Settings
    from .prometheus import Prometheus
    from .tracing import Tracing

CLOSE_SECONDS = 2.2


class _Sinks:
    """The open sinks of this process."""

    tracing: Tracing | None = None
    prometheus: Prometheus | None = None
    sentry = False
    settings: Settings | None = None
    """The settings with which the sinks were set up; None in an embedded app."""
    lock = threading.Lock()


def configure(
    settings: Settings, *, verbose: bool = False, serving: bool = True, developing: bool = False, quiet: bool = False
) -> None:
    """Check the settings and set up the sinks. A second call does not set up metrics and tracing again.

    `verbose` starts a debug run. `developing` is for a developer's terminal: errors of the agent are shown with their
    messages. `quiet` shows only warnings and errors on the terminal. A process that only supervises workers passes
    `serving=False`: it logs, but has no other sink. Raises ConfigurationError, which names the wrong setting.
    """
    variables = environment.environment()
    checks.check(settings, variables)
    masking.configure(secrets=[*_secrets(settings), *masking.secret_values(variables)],
                        capture_content=settings.capture_content)  # fmt: skip
    # An agent file may use Logfire without a token, so turn off Logfire's warning.
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
        full=developing and verbose,
        quiet=quiet and not verbose,
        common=_common(settings),
    )
    _Sinks.settings = settings
    context.mark()
    if serving and settings.telemetry_enabled:
        with _Sinks.lock:
            _open(settings, verbose)


def _common(settings: Settings) -> dict[str, str]:
    """Return the fields that every JSON line contains. The version is left out if the project has none."""
    version = environment.service_version(settings)
    found = {"service": settings.service_name, "version": version, "environment": settings.app_env}
    return {name: value for name, value in found.items() if value or name != "version"}


def _open(settings: Settings, verbose: bool) -> None:
    if settings.sentry_dsn is not None:
        attempt("Sentry", partial(_open_sentry, settings))
    if _Sinks.prometheus is None:
        attempt("Prometheus", partial(_open_metrics, settings))
    if _Sinks.tracing is None and (wants_tracing(settings) or verbose):
        attempt("Tracing", partial(_open_tracing, settings, verbose))


def _open_sentry(settings: Settings) -> None:
    from . import sentry

    # A log handler reports the errors to Sentry. So call this again whenever the log handlers were replaced.
    sentry.configure(settings)
    _Sinks.sentry = True


def _open_tracing(settings: Settings, verbose: bool) -> None:
    from .instrument import instrument
    from .tracing import Tracing

    _Sinks.tracing = Tracing(settings, environment.environment(), tree=_tree(settings, verbose))
    _use_metrics()
    instrument(settings.trace_hosts)


def keep_ours(agents: Iterable[Any] = ()) -> None:
    """Restore sinks that newly loaded agent files have changed. `agents` are the PydanticAI agents of these files."""
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
    """Record metrics in an embedded app, for `/metrics`. If the host app uses OpenTelemetry, it gets them too."""
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


def wants_tracing(settings: Settings) -> bool:
    """Return whether a Logfire token or an OTLP endpoint is set, and OpenTelemetry is not disabled."""
    variables = environment.environment()
    names = [f"OTEL_EXPORTER_OTLP_{signal}ENDPOINT" for signal in ("", "TRACES_", "METRICS_")]
    disabled = variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return not disabled and (settings.logfire_token is not None or any(variables.get(name) for name in names))


def _secrets(settings: Settings) -> list[str]:
    found = [*settings.webhook_secret, *settings.agent_secrets.values()]
    found += [value for value in (settings.api_key, settings.logfire_token, settings.sentry_dsn) if value is not None]
    return [value.get_secret_value() for value in found]


def prometheus_text() -> bytes | None:
    """Return the body of `/metrics`, or None if no metrics are recorded for Prometheus."""
    return _Sinks.prometheus.text() if _Sinks.prometheus is not None else None


def shutdown() -> None:
    """Flush and close all open sinks in parallel, within CLOSE_SECONDS in total, and then the logs.

    Call it before the process ends by a signal, because `atexit` does not run then.
    """
    closers = []
    if _Sinks.tracing is not None:
        closers.append(_Sinks.tracing.close)
    if _Sinks.sentry:
        from . import sentry

        closers.append(sentry.close)
    if _Sinks.prometheus is not None:
        closers.append(_Sinks.prometheus.close)
    wait_for(closers, CLOSE_SECONDS)
    _complete()
    logs.flush()
    wait_for([STDOUT.close, STDERR.close], CLOSE_SECONDS)
    _Sinks.sentry = False


def _complete() -> None:
    """Wait up to CLOSE_SECONDS for the handlers that an agent file has added to Loguru with `enqueue=True`."""
    from loguru import logger

    completed = threading.Event()

    def complete() -> None:
        logger.complete()
        completed.set()

    wait_for([complete], CLOSE_SECONDS)
    if not completed.is_set():
        leave_at_exit()

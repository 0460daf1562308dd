"""Send spans and metrics to Logfire and to an OTLP collector, and spans to a tree on the console.

Tracing is set up once per process, with OpenTelemetry's own provider: spans of Logfire's SDK would cost three times as
much. Logfire's SDK is set up too, and sends to the same sinks. So an agent file can use `logfire.span`, and its spans
are children of the turn's span.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from opentelemetry import metrics as otel_metrics
from opentelemetry import propagate, trace
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio, Sampler

from .._compat.logfire import span_processors
from .._version import __version__
from ..settings import Settings, service_version
from .attempts import attempt
from .bounded import wait_for
from .checks import TOKEN
from .exporting import SIGNALS, Signal, Target, metrics_to
from .pipeline import Pipeline

FLUSH_SECONDS = 1.8
_SUPPORTED = ("", "otlp")


class Tracing:
    """The sinks of spans and metrics of this process."""

    def __init__(
        self, settings: Settings, environment: Mapping[str, str], *, tree: SpanProcessor | None = None
    ) -> None:
        self._targets = _targets(settings, environment)
        self._closers: list[Callable[[], object]] = []
        self._pipeline: Pipeline | None = None
        self._resource = _resource(settings)
        self._settings = settings
        self._environment = environment
        if self._targets or tree is not None:
            self._begin(tree)

    @property
    def active(self) -> bool:
        """True if metrics are sent to at least one target. Targets that get only spans do not count."""
        return bool(self._targets_of("metrics"))

    def _targets_of(self, signal: Signal) -> list[Target]:
        wanted = self._environment.get(f"OTEL_{signal.upper()}_EXPORTER", "").lower() in _SUPPORTED
        return [target for target in self._targets if wanted and signal in target.signals]

    def _begin(self, tree: SpanProcessor | None) -> None:
        processors = [target.spans() for target in self._targets_of("traces")]
        # The `shutdown` of a processor takes no timeout, so `wait_for` calls it and stops waiting after a timeout.
        self._closers += [processor.shutdown for processor in processors]
        pipeline = Pipeline(
            [*processors, *([tree] if tree else [])], rate=self._settings.trace_rate, slow=self._settings.slow_turn
        )
        provider = TracerProvider(resource=self._resource, sampler=_sampler(self._environment), shutdown_on_exit=False)
        provider.add_span_processor(pipeline)
        trace.set_tracer_provider(provider)
        otel_metrics.set_meter_provider(
            MeterProvider(
                metric_readers=self._readers(),
                resource=self._resource,
                shutdown_on_exit=False,
                # Turn off exemplars (links to traces), which double the cost of each figure.
                exemplar_filter=None
                if "OTEL_METRICS_EXEMPLAR_FILTER" in self._environment
                else AlwaysOffExemplarFilter(),
            )
        )
        self._pipeline = pipeline
        self._begin_logfire()

    def _begin_logfire(self) -> None:
        attempt("Logfire's SDK", partial(_configure_logfire, self._settings, self._pipeline, self._readers()))
        # Send neither trace ids nor baggage to model providers. Do this last, because Logfire sets its own propagator.
        propagate.set_global_textmap(CompositePropagator([]))

    def restore(self) -> bool:
        """If other code reconfigured Logfire's SDK, configure it again and return True."""
        if self._pipeline is None or _logfire_sends_to(self._pipeline):
            return False
        self._begin_logfire()
        return True

    def _readers(self) -> list[PeriodicExportingMetricReader]:
        targets = self._targets_of("metrics")
        if not targets:
            return []
        reader = PeriodicExportingMetricReader(metrics_to(targets))
        self._closers.append(_closer(reader.shutdown))
        return [reader]

    def close(self) -> None:
        """Flush and close all sinks in parallel. Wait at most FLUSH_SECONDS, then abandon sinks that hang."""
        closers, self._closers = self._closers, []
        wait_for(closers, FLUSH_SECONDS)
        for target in self._targets:
            target.closed = True


def _closer(shutdown: Callable[..., object]) -> Callable[[], object]:
    return lambda: shutdown(timeout_millis=int(FLUSH_SECONDS * 1000))


def _targets(settings: Settings, environment: Mapping[str, str]) -> list[Target]:
    targets: list[Target] = []
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return targets
    if settings.logfire_token is not None:
        token = settings.logfire_token.get_secret_value()
        url = environment.get("LOGFIRE_BASE_URL") or _logfire_url(token)
        targets.append(Target("Logfire", url, {"Authorization": token, "User-Agent": f"layercode-app/{__version__}"}))
    if signals := signals_sent(environment):
        targets.append(Target("The OTLP collector", signals=signals))
    return targets


def signals_sent(environment: Mapping[str, str]) -> list[Signal]:
    """Return the signals that have an OTLP endpoint, either the common endpoint or a separate one."""
    common = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    return [one for one in SIGNALS if common or environment.get(f"OTEL_EXPORTER_OTLP_{one.upper()}_ENDPOINT")]


def _logfire_url(token: str) -> str:
    match = TOKEN.fullmatch(token)
    region = match["region"] if match else "us"
    return f"https://logfire-{region if region in ('us', 'eu') else 'us'}.pydantic.dev"


def _resource(settings: Settings) -> Resource:
    own = {"service.name": settings.service_name, "deployment.environment.name": settings.app_env}
    if version := service_version(settings):
        own["service.version"] = version
    # The standard OTEL variables override these values.
    return Resource.create(own).merge(OTELResourceDetector().detect())


def _sampler(environment: Mapping[str, str]) -> Sampler | None:
    """Return a sampler if OTEL_TRACES_SAMPLER_ARG holds a rate but OTEL_TRACES_SAMPLER names no sampler, else None.

    If a sampler is named, the SDK itself reads both variables.
    """
    rate = environment.get("OTEL_TRACES_SAMPLER_ARG")
    return ParentBasedTraceIdRatio(float(rate)) if rate and not environment.get("OTEL_TRACES_SAMPLER") else None


def _logfire_sends_to(pipeline: Pipeline) -> bool:
    processors = span_processors()
    # If Logfire does not show its processors, assume that it uses our pipeline.
    return processors is None or pipeline in processors


def _configure_logfire(settings: Settings, pipeline: Pipeline | None, readers: Sequence[Any]) -> None:
    import logfire

    from ..settings import overlaid

    # Logfire would warn that the provider is already set, which is intended. It would also add its own exporters, which
    # wait half a minute for a collector that is down.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)
    with overlaid({f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}):
        logfire.configure(
            send_to_logfire=False,
            console=False,
            service_name=settings.service_name,
            service_version=service_version(settings) or None,
            environment=settings.app_env,
            scrubbing=False,
            distributed_tracing=False,
            inspect_arguments=False,
            additional_span_processors=[pipeline] if pipeline else [],
            metrics=logfire.MetricsOptions(additional_readers=list(readers)) if readers else False,
        )

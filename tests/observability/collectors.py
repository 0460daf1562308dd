"""Stand-ins for the services that receive telemetry: OTLP collectors, Logfire and Sentry.

Each stand-in listens on a real socket of its own, and can take the place of any of these services. It can also fail.
"""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from ..ports import free_port

Mood = Literal["ok", "error", "garbage", "hang"]
HANG_SECONDS = 60.0


@dataclass
class SeenSpan:
    """A span as it arrived."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    failed: bool
    seconds: float
    events: list[dict[str, Any]]


@dataclass
class Collector:
    """A stand-in that keeps what is posted to it. `mood` tells whether it accepts, fails or hangs."""

    url: str = ""
    mood: Mood = "ok"
    bodies: list[tuple[str, bytes]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def dsn(self) -> str:
        return self.url.replace("://", "://public@") + "/1"

    @property
    def raw(self) -> bytes:
        """The bodies of all requests, and the names and values of their headers."""
        return b"\n".join(body for _, body in self.bodies) + json.dumps(self.headers).encode()

    def spans(self) -> list[SeenSpan]:
        found = []
        for path, body in list(self.bodies):
            if path.endswith("/v1/traces"):
                request = ExportTraceServiceRequest.FromString(body)
                found += [_seen(s) for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]
        return found

    def resources(self) -> list[dict[str, Any]]:
        found = []
        for path, body in list(self.bodies):
            if path.endswith("/v1/traces"):
                request = ExportTraceServiceRequest.FromString(body)
                found += [_attributes(r.resource.attributes) for r in request.resource_spans]
        return found

    def metrics(self) -> dict[str, float]:
        """Return the newest value of each metric, added up over all its series and resources.

        The value of a histogram is its count of observations.
        """
        newest: dict[tuple[str, str], float] = {}
        for path, body in list(self.bodies):
            if path.endswith("/v1/metrics"):
                request = ExportMetricsServiceRequest.FromString(body)
                for resource in request.resource_metrics:
                    instance = str(_attributes(resource.resource.attributes).get("service.instance.id"))
                    for scope in resource.scope_metrics:
                        for metric in scope.metrics:
                            newest[metric.name, instance] = _total(metric)
        totals: dict[str, float] = {}
        for (name, _), value in newest.items():
            totals[name] = totals.get(name, 0) + value
        return totals

    def errors(self) -> list[dict[str, Any]]:
        """Return the events that were sent to Sentry."""
        found = []
        for path, body in list(self.bodies):
            if path.endswith("/envelope/"):
                lines = body.split(b"\n")
                for header, payload in zip(lines[1::2], lines[2::2], strict=False):
                    if json.loads(header).get("type") == "event":
                        found.append(json.loads(payload))
        return found

    def wait_for(self, check: Callable[[], bool], seconds: float = 100) -> None:
        deadline = time.monotonic() + seconds
        while not check():
            assert time.monotonic() < deadline, f"not seen in {seconds} s; paths: {[path for path, _ in self.bodies]}"
            time.sleep(0.05)


def _total(metric: Any) -> float:
    kind = metric.WhichOneof("data")
    points = getattr(metric, kind).data_points
    if kind == "histogram":
        return float(sum(point.count for point in points))
    return float(sum(point.as_double or point.as_int for point in points))


def _seen(span: Any) -> SeenSpan:
    return SeenSpan(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        _attributes(span.attributes),
        span.status.code == 2,
        (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        [{"name": event.name, **_attributes(event.attributes)} for event in span.events],
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind else None


@contextmanager
def collecting(mood: Mood = "ok") -> Iterator[Collector]:
    """Yield a stand-in that listens until the block ends."""
    collector = Collector(mood=mood)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            collector.headers.append({name.lower(): value for name, value in self.headers.items()})
            collector.bodies.append((self.path, body))
            if collector.mood == "hang":
                collector.ended.wait(HANG_SECONDS)
                return
            if collector.mood == "garbage":
                self.wfile.write(b"\x00\xff garbage, not HTTP\r\n\r\n")
                return
            self.send_response(200 if collector.mood == "ok" else 500)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


def refused_url() -> str:
    """Return the URL of a port on which nothing listens."""
    return f"http://127.0.0.1:{free_port()}"

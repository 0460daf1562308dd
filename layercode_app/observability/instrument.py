"""Trace what an agent calls: the model, tools, HTTP, Redis and SQL, if the libraries are installed.

Only requests to the hosts listed in LAYERCODE_TRACE_HOSTS get a trace header.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeAlias

from loguru import logger
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .._compat.pydantic_ai import UNKNOWN, default_instrumentation
from .attempts import attempt
from .privacy import masking

if TYPE_CHECKING:
    from pydantic_ai.models.instrumented import InstrumentationSettings

Version: TypeAlias = tuple[int, int]
INSTRUMENTORS: tuple[tuple[str, str, str, Version], ...] = (
    ("redis", "opentelemetry.instrumentation.redis", "RedisInstrumentor", (9, 0)),
    ("sqlalchemy", "opentelemetry.instrumentation.sqlalchemy", "SQLAlchemyInstrumentor", (2, 2)),
    ("asyncpg", "opentelemetry.instrumentation.asyncpg", "AsyncPGInstrumentor", (1, 0)),
)
"""Each row: a library, the module and class of its instrumentation, and the library's first untested version.

A row is used if the library and its instrumentation are installed. The instrumentation checks the library's version,
but the check is outdated: SQLAlchemy's check refuses 2.1. So the check is skipped for versions below the untested one.
"""
HTTP = (("httpx", "HTTPXClientInstrumentor"), ("httpx2", "HTTPX2ClientInstrumentor"))
ADDED = "layercode_trace_headers"
"""The name of an httpx request extension. It lists the headers that this module has added to the request."""
_trace_context = TraceContextTextMapPropagator()


def instrument(trace_hosts: Sequence[str] = ()) -> None:
    """Instrument PydanticAI and the other installed libraries. Libraries that cannot be instrumented are skipped."""
    attempt("PydanticAI's spans", _instrument_agents)
    hook = _Propagate(trace_hosts)
    for library, name in HTTP:
        options: dict[str, Any] = {"request_hook": hook, "async_request_hook": hook.asynchronous}
        _instrument(library, "opentelemetry.instrumentation.httpx", name, **options)
    for library, module, name, tested in INSTRUMENTORS:
        _instrument(library, module, name, tested)


def _instrument_agents() -> None:
    from pydantic_ai import Agent
    from pydantic_ai.models.instrumented import InstrumentationSettings

    captured = masking.capture_content()
    _Own.settings = InstrumentationSettings(
        include_content=captured, include_binary_content=False, include_model_request_parameters=False
    )
    Agent.instrument_all(_Own.settings)


class _Own:
    """The settings that this module has set for PydanticAI's spans."""

    settings: InstrumentationSettings | None = None


def restore(agents: Iterable[Any]) -> bool:
    """Remove transcripts from spans. Return whether an agent file had turned transcripts on.

    Nothing is changed, and False is returned, if LAYERCODE_CAPTURE_CONTENT is true.
    """
    from pydantic_ai import Agent

    if masking.capture_content():
        return False
    changed = _restore_default(Agent)
    for agent in agents:
        for part in (agent, getattr(agent, "model", None)):
            changed = _hide_content(part) or changed
    return changed


def _restore_default(agents: Any) -> bool:
    """Keep transcripts out of PydanticAI's spans. An agent file may have changed the default settings for spans.

    If the present settings include transcripts, or if they are unknown, set the settings of this module again. If this
    module has set none, exclude transcripts from the present settings; if these are unknown or only True, set new
    settings without transcripts. Return whether the present settings included transcripts; return False if they are
    unknown.
    """
    from pydantic_ai.models.instrumented import InstrumentationSettings

    default = default_instrumentation()
    if default is UNKNOWN:
        agents.instrument_all(_Own.settings or InstrumentationSettings(include_content=False))
        return False
    if default is True:
        agents.instrument_all(_Own.settings or InstrumentationSettings(include_content=False))
        return True
    if default is _Own.settings or not _without_content(default):
        return False
    if _Own.settings is not None:
        agents.instrument_all(_Own.settings)
    return True


def _hide_content(part: Any) -> bool:
    """Exclude transcripts from the spans of an agent or a model. Return whether they were included before."""
    settings = getattr(part, "instrumentation_settings", None) or getattr(part, "instrument", None)
    if settings is True:
        part.instrument = None
        return True
    return _without_content(settings)


def _without_content(settings: Any) -> bool:
    """Exclude transcripts from PydanticAI's spans in these settings. Return whether they were included before."""
    if not getattr(settings, "include_content", False):
        return False
    settings.include_content = settings.include_binary_content = False
    return True


def _instrument(library: str, module: str, name: str, tested: Version | None = None, **options: Any) -> None:
    if find_spec(library) is None or find_spec(module) is None:
        return
    try:
        instrumentor = getattr(import_module(module), name, None)
        if instrumentor is not None and not instrumentor().is_instrumented_by_opentelemetry:
            known = tested is not None and _version(library) < tested
            instrumentor().instrument(skip_dep_check=known, raise_exception_on_conflict=True, **options)
    except Exception as error:  # noqa: BLE001 - a missing span is better than no server
        logger.warning("{} is not traced: {}", library, error)


def _version(library: str) -> Version:
    numbers = re.findall(r"\d+", metadata.version(library))
    return int(numbers[0]), int(numbers[1])


def _remove_added(request: Any) -> None:
    """Remove the trace headers that httpx has copied to this request from an earlier one.

    After a redirect, httpx copies all headers to the new request. The new request may go to a host that is not listed
    in LAYERCODE_TRACE_HOSTS.
    """
    for name in (request.extensions or {}).pop(ADDED, ()):
        request.headers.pop(name, None)


class _Propagate:
    """Adds the trace header to each request whose host is listed in LAYERCODE_TRACE_HOSTS."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self._hosts = {host.lower() for host in hosts}

    def __call__(self, span: Any, request: Any) -> None:
        """Add `traceparent` to the request if its host is listed in LAYERCODE_TRACE_HOSTS."""
        _remove_added(request)
        if str(request.url.host).lower() not in self._hosts:
            return
        added: dict[str, str] = {}
        _trace_context.inject(added)
        for name, value in added.items():
            request.headers[name] = value
        if request.extensions is not None:
            request.extensions[ADDED] = tuple(added)

    async def asynchronous(self, span: Any, request: Any) -> None:
        """Add `traceparent` to the request if its host is listed in LAYERCODE_TRACE_HOSTS.

        Asynchronous HTTP clients call this method.
        """
        self(span, request)

"""The private parts of other libraries work as the toolkit assumes. The toolkit also works if they are missing."""

from __future__ import annotations

import asyncio
import inspect
import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import httpx2
import logfire
import prometheus_client
import pytest
import sentry_sdk
import uvicorn
from pydantic_ai import Agent
from pydantic_ai.models import infer_model
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import ChangeReload, Multiprocess
from uvicorn.supervisors.multiprocess import Process

from layercode_app import LayerCode, VoiceAgent
from layercode_app._compat import logfire as private_logfire
from layercode_app._compat import openai as private_openai
from layercode_app._compat import prometheus as private_prometheus
from layercode_app._compat import sentry as private_sentry
from layercode_app._compat import uvicorn as private
from layercode_app._compat.uvicorn_workers import ClosingWorkers
from layercode_app.agent.open_calls import connect
from layercode_app.observability import own_registry, tracing
from layercode_app.server import shutdown
from layercode_app.server.connections import BoundedConnection, Bounds
from layercode_app.stream.event_stream import START

from ..calling import settings
from ..observability.collectors import collecting
from ..serving import serve

pytestmark = pytest.mark.anyio
BOUNDS = Bounds(head_bytes=65_536, head_seconds=10, body_seconds=10, unread_seconds=10)
REQUEST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"


# --- uvicorn


async def answer() -> tuple[bytes, list[str]]:
    """Return a server's answer to a request, and the names of the types of the app's `receive` and `send`."""
    used: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        used.extend(type(one).__name__ for one in (receive, send))
        message = await receive()
        await send(START)
        await send({"type": "http.response.body", "body": message["body"]})

    async with serve(app, http=partial(BoundedConnection, bounds=BOUNDS), lifespan="off") as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(REQUEST)
        whole = await asyncio.wait_for(reader.read(), 100)
        writer.close()
    return whole, used


async def test_a_request_is_received_and_sent_by_our_own() -> None:
    whole, used = await answer()
    assert used == ["BodyReceive", "StreamSend"]
    assert whole.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"hello" in whole


@pytest.mark.parametrize("gone", ["method", "cycle", "flow"])
async def test_uvicorn_receives_and_sends_where_a_part_is_gone(gone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "_known", {})
    if gone == "method":
        monkeypatch.delattr(private.CycleConnection, "_start_asgi_task")
    elif gone == "cycle":
        monkeypatch.setattr(private, "CYCLE", (*private.CYCLE, "renamed"))
    else:
        monkeypatch.setattr(private, "FLOW", (*private.FLOW, "renamed"))
    whole, used = await answer()
    assert used == ["method", "method"]
    assert b"5\r\nhello\r\n0\r\n\r\n" in whole


def test_the_overridden_method_is_uvicorns() -> None:
    assert "_start_asgi_task" in vars(HttpToolsProtocol)


def test_a_connection_that_shows_nothing_is_idle_and_unmeasured() -> None:
    bare: Any = object.__new__(private.CycleConnection)
    assert not bare.answering
    assert bare.parsed_bytes() == 0


async def test_the_server_is_found_by_its_signal_handler(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    server = uvicorn.Server(uvicorn.Config(lambda: None))
    try:
        with server.capture_signals():
            assert private.server_of_this_process() is server
            theirs = signal.getsignal(signal.SIGTERM)
            shutdown._Shutdown.install(LayerCode(VoiceAgent("echo", greeting="Hi."), settings=settings(tmp_path)))
            assert signal.getsignal(signal.SIGTERM) != theirs
    finally:
        signal.signal(signal.SIGTERM, before)


async def test_a_handler_that_is_not_uvicorns_stays(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert private.server_of_this_process() is None
    shutdown._Shutdown.install(LayerCode(VoiceAgent("echo", greeting="Hi."), settings=settings(tmp_path)))
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_supervisor_closes_the_workers_end_of_each_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "self.keep_subprocess_alive()" in inspect.getsource(Multiprocess.run)
    config = uvicorn.Config(lambda: None, workers=1)
    worker, bare = Process(config, []), SimpleNamespace()
    checked: list[Any] = []
    monkeypatch.setattr(Multiprocess, "keep_subprocess_alive", lambda self: checked.extend(self.processes))
    supervisor = object.__new__(ClosingWorkers)
    supervisor.processes = [worker, bare]  # type: ignore[list-item]
    supervisor.keep_subprocess_alive()
    assert worker.child_conn.closed
    assert checked == [worker, bare]
    worker.parent_conn.close()


def test_uvicorns_supervisors_call_what_ours_override() -> None:
    assert "self.terminate_all()" in inspect.getsource(Multiprocess.run)
    assert "self.restart_all()" in inspect.getsource(Multiprocess.handle_hup)
    assert "handle_{sig_name.lower()}" in inspect.getsource(Multiprocess.handle_signals)
    assert "next(self.watcher)" in inspect.getsource(ChangeReload.should_restart)


def test_sigttou_ends_a_worker_but_not_the_last() -> None:
    supervisor = object.__new__(ClosingWorkers)
    first: Any = SimpleNamespace(exitcode=0)
    second: Any = SimpleNamespace(exitcode=0)
    supervisor.processes, supervisor.processes_num = [first, second], 2
    supervisor.handle_ttou()
    supervisor.handle_ttou()
    assert (supervisor.processes, supervisor.processes_num) == ([first], 1)


# --- prometheus_client


def test_collectors_are_those_of_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    orders = prometheus_client.Counter("compat_orders", "Orders.")
    try:
        assert orders in private_prometheus.collectors()
        assert "compat_orders" in [name for name, *_ in own_registry.dump()]
        monkeypatch.delattr(prometheus_client.REGISTRY, "_collector_to_names")
        assert own_registry.dump() == []
        monkeypatch.undo()
    finally:
        prometheus_client.REGISTRY.unregister(orders)


# --- sentry_sdk


class Answered(private_sentry.AnsweredTransport):
    """A transport that notes each event that was delivered."""

    delivered: ClassVar[list[str]] = []

    def on_delivered(self) -> None:
        self.delivered.append("event")


@pytest.mark.parametrize("method", [True, False])
def test_a_delivered_event_is_noted_and_arrives_anyway(method: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not method:
        monkeypatch.delattr(private_sentry.AnsweredTransport, "_handle_response")
    monkeypatch.setattr(Answered, "delivered", [])
    with collecting() as collector:
        client = sentry_sdk.Client(dsn=collector.dsn, transport=Answered, default_integrations=False)
        client.capture_event({"message": "hello"})
        client.close(timeout=10)
        assert len(collector.errors()) == 1
    assert Answered.delivered == ["event"] * method


# --- logfire


def test_processors_are_those_that_logfire_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    ours: Any = object()
    monkeypatch.setattr(logfire.DEFAULT_LOGFIRE_INSTANCE.config, "additional_span_processors", [ours])
    assert private_logfire.span_processors() == [ours]
    assert tracing._logfire_sends_to(ours)
    assert not tracing._logfire_sends_to(SimpleNamespace())  # type: ignore[arg-type]
    monkeypatch.delattr(logfire.DEFAULT_LOGFIRE_INSTANCE.config, "additional_span_processors")
    assert private_logfire.span_processors() is None
    assert tracing._logfire_sends_to(ours)


def test_logfire_says_whether_it_was_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    script = (
        "import logfire; from layercode_app._compat.logfire import configured; print(configured());"
        "logfire.configure(send_to_logfire=False, console=False); print(configured())"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["False", "True"]
    monkeypatch.delattr(logfire.DEFAULT_LOGFIRE_INSTANCE.config, "_initialized")
    assert not private_logfire.configured()


# --- openai


async def test_the_http_client_is_that_of_the_models_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["method"])
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    async with serve(app, lifespan="off") as url:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
        model: Any = infer_model("openai-chat:gpt-test")
        voice = VoiceAgent("knocking", Agent(model))
        await connect([voice])
        assert seen == ["HEAD"]
        assert private_openai.has_idle_connection(private_openai.http_client(model))
        await connect([voice])
        assert seen == ["HEAD"], "a connection is open"
        hidden: Any = SimpleNamespace(provider=SimpleNamespace(client=SimpleNamespace()), base_url=url)
        voice.use_model(hidden)
        await connect([voice])
        assert seen == ["HEAD"]
        await private_openai.http_client(model).aclose()  # type: ignore[union-attr]


def test_nothing_is_imported_with_the_package() -> None:
    code = "import sys, json, layercode_app._compat; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"loguru", "pydantic_ai", "uvicorn", "sentry_sdk", "logfire"}.isdisjoint(json.loads(done.stdout))


async def test_idle_connections_are_kept_for_as_long_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with httpx2.AsyncClient() as client:
        pool: Any = client._transport._pool  # type: ignore[attr-defined]
        assert pool._keepalive_expiry == 5.0
        assert private_openai.keep_idle(client, 300)
        assert pool._keepalive_expiry == 300
    # In a release without the private part, nothing is changed. Then the first request still opens a connection.
    assert private_openai.keep_idle(SimpleNamespace(), 300) is False
    assert private_openai.keep_idle(None, 300) is False
    assert private_openai.has_idle_connection(SimpleNamespace()) is False


async def test_transports_are_wrapped_once_those_of_proxies_too() -> None:
    def wrapper(transport: Any) -> Any:
        return SimpleNamespace(wrapped=transport, aclose=transport.aclose)

    client: Any = httpx2.AsyncClient(proxy="http://127.0.0.1:9")
    own = [client._transport, *client._mounts.values()]
    for _ in range(2):
        assert private_openai.wrap_transports(client, wrapper)
    assert [each.wrapped for each in (client._transport, *client._mounts.values())] == own
    assert private_openai.keep_idle(client, 300)
    assert {transport._pool._keepalive_expiry for transport in own} == {300}
    await client.aclose()
    # In a release without the private part, nothing is changed. Then a stale connection costs a retry of the request.
    assert private_openai.wrap_transports(SimpleNamespace(), wrapper) is False

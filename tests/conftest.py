"""Settings and fixtures that all tests share: asyncio under anyio's plugin, the profiles of hypothesis, and servers.

A server starts once per pytest session. Each xdist worker has its own session.
"""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from . import thoroughness as thoroughness
from .event_loops import no_loop_left_open
from .pgbouncer import PgBouncer
from .postgres_server import PostgresServer
from .redis_server import RedisServer
from .scheduling import FileByFile, place

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from layercode_app.observability.metrics import Row

# The tests also run on a bare checkout, where no entry point names the plugin.
pytest_plugins = ["pytester", "layercode_app.testing.plugin"]

# Let HTTP clients trust a single certificate authority. Tests make hundreds of clients, and each would need 0.05 s to
# read the machine's authorities. Only test_two_commands.py needs the machine's authorities: it downloads packages.
os.environ.setdefault("MACHINES_SSL_CERT_FILE", os.environ.get("SSL_CERT_FILE", ""))
os.environ["SSL_CERT_FILE"] = str(Path(__file__).parent / "authority.pem")


# These tests build, copy and deploy the checkout. `.ci/run` tests the wheel without a checkout, so they do not apply.
if "LAYERCODE_WHEEL" in os.environ:
    collect_ignore = ["deploy", "scaffold/test_two_commands.py"]


# Do not let the garbage collector search the modules that are imported while pytest collects the tests. They stay in
# memory anyway. The search would take a quarter of the collection's time, and slow down each garbage collection later.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run `@pytest.mark.anyio` tests on asyncio; session-wide, so that fixtures of any scope may be async."""
    return "asyncio"


@pytest.fixture(scope="session")
def chromium() -> Iterator[str]:
    """Start a headless Chromium that all tests of a pytest session share, and yield its address."""
    from .e2e.browser import shared_chromium

    with shared_chromium() as address:
        yield address


@pytest.fixture(scope="module")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """Connect a test module to the shared browser. Each test makes its own browser context and closes it."""
    from .e2e.browser import connected

    async with connected(chromium) as browser:
        yield browser


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis that all tests of a pytest session share. A test that needs it empty calls `redis_server.clear()`."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL that all tests of a pytest session share. `postgres_server.clear()` deletes the journal in it."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def pgbouncer(postgres_server: PostgresServer) -> Iterator[PgBouncer]:
    """A PgBouncer in transaction mode in front of the shared PostgreSQL."""
    pooler = PgBouncer(postgres_server)
    yield pooler
    pooler.stop()


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Undo what a test did to logging.

    A server or command that runs in the test's process replaces the handlers of the standard library's loggers.
    """
    from loguru import logger

    from layercode_app.observability import logs

    loggers = [logging.getLogger(name) for name in (None, "uvicorn", "uvicorn.error", "uvicorn.access")]
    before = [(one, one.level, list(one.handlers), one.propagate) for one in loggers]
    handlers, alone = list(logs._handlers), dict(logs._alone)
    yield
    for one, level, given, propagate in before:
        one.setLevel(level)
        one.handlers, one.propagate = given, propagate
    # Handlers must also leave `logs._handlers`: otherwise a later command in this process would add them again.
    for handler in logs._handlers:
        if handler not in handlers:
            with suppress(ValueError):
                logger.remove(handler.number)
    logs._handlers[:] = handlers
    logs._alone.clear()
    logs._alone.update(alone)


@pytest.fixture
def warned() -> Iterator[list[str]]:
    """The messages of the warnings and errors that are logged during a test."""
    from loguru import logger

    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(message.record["message"]), level="WARNING")
    yield lines
    logger.remove(sink)


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    """The metrics of the test."""
    from layercode_app.observability import metrics

    rows: list[Row] = []

    class Sink:
        def add(self, given: Any) -> None:
            rows.extend(given)

    monkeypatch.setattr(metrics, "_sinks", [Sink()])
    return rows


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Fail a test that leaves an event loop open.

    Otherwise another test would fail: the one during which the loop is garbage-collected.
    """
    with no_loop_left_open():
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files that take longest first."""
    items.sort(key=lambda item: place(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FileByFile | None:
    """For `--dist loadfile`, which keeps the tests of a file together, use FileByFile instead of xdist's scheduler."""
    return FileByFile(config, log) if config.getvalue("dist") == "loadfile" else None

"""What every test shares: asyncio under anyio's plugin, the profiles of hypothesis, and servers of a whole run."""

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

# The tests also run on a bare checkout, where no entry point names the plugin.
pytest_plugins = ["pytester", "layercode_app.testing.plugin"]

# A client reads every authority that it may ever trust, which is 0.05 s for the machine's own. Tests make hundreds, and
# leave the machine for nothing but the packages of one project (test_two_commands.py).
os.environ.setdefault("MACHINES_SSL_CERT_FILE", os.environ.get("SSL_CERT_FILE", ""))
os.environ["SSL_CERT_FILE"] = str(Path(__file__).parent / "authority.pem")


# These build, copy and deploy the checkout, and say nothing of the wheel that `.ci/run` tests without one.
if "LAYERCODE_WHEEL" in os.environ:
    collect_ignore = ["deploy", "scaffold/test_two_commands.py"]


# What is imported while tests are collected stays: to look through it for garbage would take a quarter of that time, and
# much of each collection during the tests.
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
    """A headless Chromium that the tests of a run share; its address."""
    from .e2e.browser import shared_chromium

    with shared_chromium() as address:
        yield address


@pytest.fixture(scope="module")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """The shared browser, as a module's tests drive it; each makes a context and closes it."""
    from .e2e.browser import connected

    async with connected(chromium) as browser:
        yield browser


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis that the tests of a run share; each begins with `redis_server.clear()`."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL that the tests of a run share; those of the journal begin with `postgres_server.clear()`."""
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
    """Undo what a test did to logging: a server or a command in this process takes the standard library's loggers."""
    from loguru import logger

    from layercode_app.observability import logs

    loggers = [logging.getLogger(name) for name in (None, "uvicorn", "uvicorn.error", "uvicorn.access")]
    before = [(one, one.level, list(one.handlers), one.propagate) for one in loggers]
    handlers, alone = list(logs._handlers), dict(logs._alone)
    yield
    for one, level, given, propagate in before:
        one.setLevel(level)
        one.handlers, one.propagate = given, propagate
    # A command that runs in this process later would add handlers again that only Loguru has lost.
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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Fail a test that leaves an event loop open, rather than the one in which the loop is collected."""
    with no_loop_left_open():
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files that take longest first."""
    items.sort(key=lambda item: place(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FileByFile | None:
    """Replace xdist's own way to keep the tests of a file together."""
    return FileByFile(config, log) if config.getvalue("dist") == "loadfile" else None

"""What every test shares: asyncio under anyio's plugin, and hypothesis without a clock."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from .postgres_server import PostgresServer
from .redis_server import RedisServer

# The tests also run on a bare checkout, where no entry point names the plugin.
pytest_plugins = ["pytester", "layercode_app.testing.plugin"]

# A client reads every authority that it may ever trust, which is 0.05 s for the machine's own. Tests make hundreds, and
# leave the machine for nothing but the packages of one project (test_two_commands.py).
os.environ.setdefault("MACHINES_SSL_CERT_FILE", os.environ.get("SSL_CERT_FILE", ""))
os.environ["SSL_CERT_FILE"] = str(Path(__file__).parent / "authority.pem")

# A deadline per example measures the machine, not the code.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


# The files that take longest, from the longest on. They are begun first, or the last worker would be left alone with one.
LONGEST = (
    "agents/test_files.py", "scaffold/test_two_commands.py", "scaffold/test_projects.py", "doctor/test_doctor.py",
    "testing/test_check.py", "observability/test_faults.py", "server/test_shutdown.py", "observability/test_spans.py",
    "platform/test_tunnel.py", "reports/test_cli.py", "scaffold/test_new.py", "conversation/test_turns.py",
    "scaffold/test_update.py", "e2e/test_dev_page.py", "cli/test_platform.py", "emulator/test_command.py",
    "scaffold/test_web_page.py", "observability/test_metrics.py", "watch/test_spending.py", "testing/test_plugin.py",
    "testing/test_bench.py", "observability/test_log_files.py", "observability/test_sentry.py", "cli/test_connect.py",
    "e2e/test_dev_page_looks.py", "benchmarks/test_peers.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; all else keeps its order."""
    order = {Path(__file__).parent / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


# These build, copy and deploy the checkout, and say nothing of the wheel that `.ci/run` tests without one.
if "LAYERCODE_WHEEL" in os.environ:
    collect_ignore = ["deploy", "scaffold/test_two_commands.py"]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run `@pytest.mark.anyio` tests on asyncio; session-wide, so that fixtures of any scope may be async."""
    return "asyncio"


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis that the tests of a run share; each begins with `redis_server.clear()`."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL that the tests of a run share; each makes tables of its own."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.stop()

"""The pytest plugin: the fixtures `call`, `start_call` and `clock`, and the marks `agent` and `real_model`.

Pytest loads it in every run where the package is installed, so it imports nothing heavy until a fixture is used.
The plugin runs async tests that use `call`, so these tests need no async plugin. But a test that is marked for anyio or
pytest-asyncio is run by anyio or pytest-asyncio.
Agents run on asyncio, so a test on trio fails with an explanation.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from ..agent.discovery import Found
    from .call import AgentCall
    from .clock import Clock

NOON = 1_767_268_800.0
"""1 January 2026, 12:00 UTC: the time of the frozen clock."""

_calls: pytest.StashKey[list[AgentCall]] = pytest.StashKey()
_found: pytest.StashKey[dict[Path | None, Found]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini options for the default agent and the folder of agent files."""
    parser.addini("layercode_agent", "The agent that the fixture `call` talks to.", default="")
    parser.addini("layercode_agents", "The folder of the agent files; default ./agents.", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks."""
    config.addinivalue_line(
        "markers",
        "agent(agent, **options): the agent that `call` talks to, by name or as an object, and options of AgentCall.",
    )
    config.addinivalue_line("markers", "real_model: allow this test to call real models, which cost money.")
    config.stash[_found] = {}


@pytest.fixture
def start_call(request: pytest.FixtureRequest) -> Iterator[Callable[..., AgentCall]]:
    """Start any number of calls: `start_call("bakery", model=scripted("Hello"))`, with the options of AgentCall."""
    from pydantic_ai.models import override_allow_model_requests

    started: list[AgentCall] = []
    request.node.stash[_calls] = started

    def start(agent: Any = None, **options: Any) -> AgentCall:
        from .call import AgentCall

        given, marked = _marked(request)
        agent = given() if agent is None else agent
        if isinstance(agent, str) and ":" not in agent:
            marked.setdefault("agents", _agents(request.config))
        opened = AgentCall(agent, **{**marked, **options})
        started.append(opened)
        return opened

    real = request.node.get_closest_marker("real_model") is not None
    with override_allow_model_requests(real):
        yield start


@pytest.fixture
def call(start_call: Callable[..., AgentCall]) -> AgentCall:
    """A call to the agent named by `@pytest.mark.agent("name")` or by the ini option `layercode_agent`."""
    opened: AgentCall = start_call()
    return opened


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Freeze `time.time()`; only `clock.advance(seconds)` moves it. The server and the collectors use this time too.

    `datetime.now()` and `date.today()` in an agent's own code are not frozen.
    """
    from ..journal import steady_clock
    from .clock import Clock

    frozen = Clock(NOON)
    monkeypatch.setattr(time, "time", frozen)
    monkeypatch.setattr(steady_clock, "now", frozen)
    return frozen


def _marked(request: pytest.FixtureRequest) -> tuple[Callable[[], Any], dict[str, Any]]:
    """Return a function that returns the test's agent. Also return the options of the test's `agent` mark."""
    mark = request.node.get_closest_marker("agent")
    if mark is not None and mark.args:
        return lambda: mark.args[0], dict(mark.kwargs)
    config = request.config
    return lambda: config.getini("layercode_agent") or _only_agent(config), dict(mark.kwargs) if mark else {}


def _agents(config: pytest.Config) -> Found:
    """Return the agents of the agent files. The files are loaded once per test run."""
    from ..agent.discovery import discover

    given = config.getini("layercode_agents")
    folder = config.rootpath / (given or "agents")
    asked = folder if given or folder.is_dir() else None
    found = config.stash[_found]
    if asked not in found:
        found[asked] = discover(asked)
    return found[asked]


def _only_agent(config: pytest.Config) -> str:
    found = _agents(config)
    folder = (config.rootpath / (config.getini("layercode_agents") or "agents")).resolve()
    own = [name for name, path in found.files.items() if path.parent == folder]
    if len(own) == 1:
        return own[0]
    known = ", ".join(sorted(own or found.agents))
    raise pytest.UsageError(
        f"The fixture `call` does not know which agent to talk to; the agents are {known}. Mark the test with "
        '@pytest.mark.agent("name"), or set layercode_agent in the pytest section of pyproject.toml.'
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Any:
    """Close a test's calls in their event loop, and run an async test that no other plugin runs."""
    # Read the test function now: pytest-asyncio replaces it with a plain function when the item runs.
    test = getattr(item, "obj", None)
    if not isinstance(item, pytest.Function) or _calls not in item.stash or not inspect.iscoroutinefunction(test):
        return (yield)
    closing = _closing(test, _started(item))
    others = {"anyio", "asyncio", "trio"} & {mark.name for mark in item.iter_markers()}
    own = not others and "anyio_backend" not in item.fixturenames
    item.obj = _in_a_loop(closing) if own else closing
    try:
        return (yield)
    finally:
        item.obj = test


def _started(item: pytest.Item) -> list[AgentCall]:
    calls: list[AgentCall] = []
    return item.stash.get(_calls, calls)


def _closing(test: Callable[..., Any], calls: list[AgentCall]) -> Callable[..., Any]:
    @functools.wraps(test)
    async def run(*args: Any, **kwargs: Any) -> None:
        _need_asyncio()
        try:
            await test(*args, **kwargs)
        finally:
            for opened in calls:
                await opened.close()

    return run


def _need_asyncio() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pytest.fail(
            "The fixtures `call` and `start_call` run on asyncio, but this test runs on trio. Remove the mark `trio` from "
            "the test, or define a fixture anyio_backend that returns 'asyncio'.",
            pytrace=False,
        )


def _in_a_loop(test: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Add the transcripts of a failed test to its report."""
    report: pytest.TestReport = yield
    if report.failed:
        for number, held in enumerate(_started(item), 1):
            with suppress(Exception):
                title = f"conversation {number} with {held.agent.name}"
                report.sections.append((title, held.transcript or "(nothing was said)"))
    return report

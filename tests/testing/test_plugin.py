"""The pytest plugin in a user's project is found, loads quickly, and explains failed tests clearly."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from .. import forked
from ..processes import ROOT, clean_environment

COMMON = ("-p", "layercode_app.testing.plugin", "-p", "no:cacheprovider")
PLUGIN = (*COMMON, "-p", "no:asyncio")
ASYNCIO = (*COMMON, "-o", "asyncio_default_fixture_loop_scope=function")
AGENT = """
from layercode_app import VoiceAgent

agent = VoiceAgent("{name}", greeting="Hello!")


@agent.on_message
async def repeat(turn):
    return f"You said: {{turn.text}}"
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    agents = pytester.mkdir("agents")
    (agents / "parrot.py").write_text(AGENT.format(name="parrot"))
    return pytester


def run_pytest(project: pytest.Pytester, *options: str, cold: bool = False) -> pytest.RunResult:
    """Run pytest in the project, in a process of its own.

    If pytest ran in the process of these tests, pytester would remove newly imported modules from `sys.modules`. Later
    tests would import second copies of these modules, while other modules still refer to the first copies.

    `cold` starts a new interpreter. In it, unlike in a forked process, pytest itself gives no warnings.
    """
    begun = time.monotonic()
    done = forked.run(["-m", "pytest", *options], cwd=project.path, env=clean_environment(), together=True, cold=cold)
    return pytest.RunResult(done.returncode, done.stdout.splitlines(), [], time.monotonic() - begun)


@pytest.mark.slow
def test_a_test_without_any_configuration_runs(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        async def test_it(call):
            assert (await call.greet()).spoken == "Hello!"
            assert (await call.say("one")).spoken == "You said: one"
        """
    )
    run_pytest(project, *PLUGIN, "-W", "error", cold=True).assert_outcomes(passed=1)


@pytest.mark.slow
def test_under_anyio_it_runs_as_anyio_runs_it(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import asyncio
        import pytest

        pytestmark = pytest.mark.anyio

        @pytest.fixture
        def anyio_backend():
            return ("asyncio", {"debug": True})

        async def test_it(call):
            assert asyncio.get_running_loop().get_debug()
            assert (await call.say("one")).spoken == "You said: one"
        """
    )
    run_pytest(project, *PLUGIN, "-W", "error", cold=True).assert_outcomes(passed=1)


CLOSED = """
import asyncio
import pytest

seen, finished = [], []

@pytest.fixture
def anyio_backend():
    return "asyncio"

async def hold(call, start_call):
    for opened in (call, start_call("parrot")):
        async def later(turn):
            await asyncio.sleep(0.01)
            finished.append(turn.text)

        @opened.agent.on_message
        async def repeat(turn, later=later):
            turn.background(later(turn))
            return "Noted."

        await opened.say(f"number {len(seen)}")
        seen.append(opened)

MARK
async def test_first(call, start_call):
    await hold(call, start_call)

MARK
async def test_second(call, start_call):
    await hold(call, start_call)

MARK
async def test_nothing_is_left_over(start_call):
    mine = {task.get_name() for task in asyncio.all_tasks()}
    assert len(mine) <= 2, mine
    assert [call._http.is_closed for call in seen] == [True] * 4
    assert len(finished) == 4
"""
MARKS = {
    "test_no_plugin": "",
    "test_anyio": "@pytest.mark.anyio",
    "test_pytest_asyncio": "@pytest.mark.asyncio",
    "test_one_loop_for_all": '@pytest.mark.asyncio(loop_scope="session")',
}


def test_every_call_is_closed_and_its_background_work_done(project: pytest.Pytester) -> None:
    pytest.importorskip("pytest_asyncio")
    project.makepyfile(**{name: CLOSED.replace("MARK", mark) for name, mark in MARKS.items()})
    run_pytest(project, *ASYNCIO).assert_outcomes(passed=3 * len(MARKS))


def test_pytest_asyncio_in_its_auto_mode_runs_and_closes_them(project: pytest.Pytester) -> None:
    pytest.importorskip("pytest_asyncio")
    project.makepyfile(CLOSED.replace("MARK", ""))
    run_pytest(project, *ASYNCIO, "-o", "asyncio_mode=auto").assert_outcomes(passed=3)


def test_a_test_on_trio_is_told_that_calls_run_on_asyncio(project: pytest.Pytester) -> None:
    pytest.importorskip("trio")
    project.makepyfile(
        """
        import pytest

        @pytest.mark.anyio
        @pytest.mark.parametrize("anyio_backend", ["trio"])
        async def test_it(call, anyio_backend):
            await call.say("one")
        """
    )
    result = run_pytest(project, *PLUGIN)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*run on asyncio, but this test runs on trio.*"])


@pytest.mark.slow
def test_a_failure_shows_the_conversation_so_far(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        async def test_it(call):
            await call.say("one")
            turn = await call.say("two")
            assert "three" in turn.spoken
        """
    )
    result = run_pytest(project, *PLUGIN)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*conversation 1 with parrot*", "caller: one", "agent:  You said: one", "caller: two", "agent:  You said: two"]
    )


@pytest.mark.slow
def test_of_several_agents_one_must_be_named(project: pytest.Pytester) -> None:
    (project.path / "agents" / "crow.py").write_text(AGENT.format(name="crow"))
    project.makepyfile(
        """
        import pytest

        async def test_unnamed(call):
            pass

        @pytest.mark.agent("crow")
        async def test_named(call):
            assert call.agent.name == "crow"
        """
    )
    result = run_pytest(project, *PLUGIN)
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines(["*does not know which agent to talk to; the agents are crow, parrot*"])
    project.makeini("[pytest]\nlayercode_agent = crow")
    run_pytest(project, *PLUGIN).assert_outcomes(passed=2)


@pytest.mark.slow
def test_the_only_agent_of_the_folder_in_the_settings_needs_no_name(project: pytest.Pytester) -> None:
    (project.path / "agents").rename(project.path / "voices")
    project.makeini("[pytest]\nlayercode_agents = voices")
    project.makepyfile(
        """
        async def test_it(call):
            assert (await call.greet()).spoken == "Hello!"
        """
    )
    run_pytest(project, *PLUGIN).assert_outcomes(passed=1)


def test_loading_the_plugin_imports_nothing_heavy() -> None:
    code = "import sys, layercode_app.testing.plugin; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(done.stdout.split())
    assert "layercode_app.testing.plugin" in loaded
    assert loaded & {"pydantic", "pydantic_ai", "loguru", "starlette", "uvicorn", "httpx", "orjson"} == set()

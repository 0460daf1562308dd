"""If a program or package that a test needs is missing, the test fails in CI.

On a developer's machine, the test is skipped with a reason.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable

import pytest

from .event_loops import no_loop_left_open
from .support import need_distribution, need_node_package, need_program

MISSING: list[Callable[[], object]] = [
    lambda: need_program("no-such-program", "nor-this-one"),
    lambda: need_node_package("no-such-package"),
    lambda: need_distribution("no-such-distribution"),
]


@pytest.fixture(params=MISSING, ids=["program", "node package", "distribution"])
def missing(request: pytest.FixtureRequest) -> Callable[[], object]:
    need: Callable[[], object] = request.param
    return need


def test_missing_part_skips_on_a_developers_machine(
    missing: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="is not installed"):
        missing()


def test_missing_part_fails_in_ci(missing: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="nothing may be missing"):
        missing()


def test_installed_program_is_found_by_any_of_its_names() -> None:
    assert need_program("no-such-program", "sh") == shutil.which("sh")


def test_a_loop_that_is_left_open_is_told_of_with_its_maker() -> None:
    with pytest.raises(AssertionError, match="left open, made at"), no_loop_left_open():
        loop = asyncio.new_event_loop()
    loop.close()
    with no_loop_left_open():
        asyncio.run(asyncio.sleep(0))

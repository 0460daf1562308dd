"""Render a scenario as a pytest test with the fixture `call`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from keyword import iskeyword

from ..journal.record import Json
from ..testing.evals.scenario import ExpectedCall, Scenario, ScenarioFile, Step

_HEAD = '''"""A recorded call; personal details are replaced. Tools really run: mock those that must not run."""

from __future__ import annotations

import pytest

from layercode_app.testing import AgentCall{called}

pytestmark = pytest.mark.agent({agent})


async def test_{name}(call: AgentCall) -> None:
'''


def as_test(file: ScenarioFile) -> str:
    """Return a module with one test of the file's first scenario. The test checks only the last turn.

    The test does not check the data that the turn sends to the browser. The scenario's question for the judge becomes a
    comment in the test.
    """
    scenario = file.scenarios[0]
    lines = list(_lines(scenario))
    called = ", Called" if any("Called(" in line for line in lines) else ""
    head = _HEAD.format(agent=_text(file.agent), name=scenario.name, called=called)
    return head + "".join(f"    {line}\n" for line in lines)


def _lines(scenario: Scenario) -> Iterator[str]:
    *before, last = scenario.turns
    for step in before:
        yield from _interrupted(step)
        yield f"await {_spoken(step, scenario)}"
    yield from _interrupted(last)
    yield f"turn = await {_spoken(last, scenario)}"
    yield "assert turn.error is None"
    yield from _checks(last)


def _interrupted(step: Step) -> Iterator[str]:
    if step.interrupt is not None:
        playing = ", playing=True" if step.playing else ""
        yield f"call.interrupt(after={step.interrupt!r}{playing})"


def _spoken(step: Step, scenario: Scenario) -> str:
    fields: dict[str, Json] = {
        "metadata": scenario.metadata | step.metadata,
        "from_phone_number": scenario.from_phone_number,
        "to_phone_number": scenario.to_phone_number,
    }
    given = [f"{name}={_text(value)}" for name, value in fields.items() if value]
    if step.say is None:
        return f"call.greet({', '.join(given)})"
    return f"call.say({', '.join([_text(step.say), *given])})"


def _checks(step: Step) -> Iterator[str]:
    expected = step.expect
    for text in expected.contains:
        yield f"assert {_text(text)} in turn.spoken"
    if expected.tools is not None:
        calls = ", ".join(map(_call, expected.tools))
        # If the turn is interrupted, expect only the calls that had ended by then. Other calls may still be running.
        stopped = step.interrupt is not None and not step.playing
        yield f"assert turn.tools.include({calls})" if stopped else f"assert turn.tools == [{calls}]"
    if expected.hangup:
        yield "assert turn.hangup"
    if step.judge is not None:
        yield f"# {' '.join(step.judge.split())}"


def _call(tool: ExpectedCall | str) -> str:
    if isinstance(tool, str) or not tool.args:
        return _text(tool if isinstance(tool, str) else tool.name)
    if all(name.isidentifier() and not iskeyword(name) for name in tool.args):
        return (
            f"Called({', '.join([_text(tool.name), *(f'{name}={_text(value)}' for name, value in tool.args.items())])})"
        )
    return f"Called({_text(tool.name)}, **{_text(tool.args)})"


def _text(value: Json) -> str:
    """Return a value as Python source, with the double quotes that formatters use."""
    return json.dumps(value, ensure_ascii=True) if isinstance(value, str) else repr(value)

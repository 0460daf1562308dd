"""Outdated code from older guides is recognized by the error that an installed library raises.

The message of the toolkit then says what to write instead.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import logfire
import pytest
import sentry_sdk
from pydantic_ai import Agent
from pydantic_ai.run import AgentRunResult
from typer.testing import CliRunner

from layercode_app.agent.discovery import load_file
from layercode_app.cli.main import app
from layercode_app.doctor.local import check_agents
from layercode_app.exceptions import AgentImportError
from layercode_app.observability.fixes import fix_of
from layercode_app.observability.old_habits import HABITS, PAGE, instead_of
from layercode_app.settings import Settings

from ..markdown import ROOT

CALLS: dict[str, Callable[[], object]] = {
    "turn.count": lambda: logfire.metric("orders"),  # type: ignore[attr-defined]
    "SERVICE_NAME": lambda: logfire.configure(app_name="shop"),  # type: ignore[call-arg]
    "turn.span": lambda: logfire.span("look up", {"table": "bookings"}),  # type: ignore[call-arg, arg-type]
    "sentry_sdk.set_tag": lambda: sentry_sdk.configure_scope(),
    "result.output": lambda: AgentRunResult("yes").data,  # type: ignore[attr-defined]
    "@agent.output_validator": lambda: Agent().result_validator,  # type: ignore[attr-defined]
    "output_type=": lambda: Agent(result_type=int),  # type: ignore[call-overload]
    "retries=": lambda: Agent(result_retries=2),  # type: ignore[call-overload]
    "VoiceAgent": lambda: __import__("layercode_create_app.agents"),
}


def _raised(call: Callable[[], object]) -> Exception:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((Exception, DeprecationWarning)) as caught:
            call()
    return caught.value


@pytest.mark.parametrize("instead", CALLS)
def test_the_error_of_an_old_call_says_what_to_write(instead: str) -> None:
    error = _raised(CALLS[instead])
    assert instead in instead_of([error])
    assert instead in fix_of(error, "internal")


def test_an_agent_file_with_an_old_call_says_what_to_write(tmp_path: Path) -> None:
    (path := tmp_path / "shop.py").write_text("import logfire\nlogfire.metric('orders')\n", encoding="utf-8")
    with pytest.raises(
        AgentImportError, match=r"no attribute \'metric\'\. Logfire has no metric\(\)\. Count with turn\.count"
    ):
        load_file(path)


def test_agents_and_doctor_say_what_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (path := tmp_path / "agents" / "shop.py").parent.mkdir()
    path.write_text("import logfire\nlogfire.metric('orders')\n", encoding="utf-8")
    listed = CliRunner().invoke(app, ["agents"])
    _, (finding, *_) = check_agents(Settings())
    assert "line 2" in listed.output
    assert "Count with turn.count" in listed.output
    assert "Count with turn.count" in finding.fix


@pytest.mark.parametrize(
    "error", [AttributeError("'Order' object has no attribute 'data'"), TypeError("f() got x"), KeyError("data")]
)
def test_other_errors_have_no_such_advice(error: Exception) -> None:
    assert instead_of([error]) == ""


def test_the_page_has_every_habit() -> None:
    page = (ROOT / "docs/old-habits.md").read_text(encoding="utf-8")
    assert page.startswith("# Old habits"), PAGE
    for name in (
        "logfire.metric",
        "app_name",
        "configure_scope",
        "result.data",
        "result_validator",
        "result_type",
        "result_retries",
        "BaseLayercodeAgent",
    ):
        assert name in page
    assert len(HABITS) >= len(CALLS)

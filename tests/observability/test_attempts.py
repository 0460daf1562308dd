"""A sink that cannot be set up causes one warning, and the server starts without it."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from loguru import logger
from packaging.requirements import Requirement
from pydantic import SecretStr

from layercode_app import ConfigurationError, observability
from layercode_app.observability import attempts, metrics, setup
from layercode_app.settings import Settings

from ..processes import ROOT


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    found: list[str] = []
    number = logger.add(found.append, level="WARNING", format="{message}")
    yield found
    logger.remove(number)


@pytest.mark.parametrize(
    ("sink", "needed"),
    [("Sentry", "sentry"), ("Prometheus", "prometheus"), ("Tracing", "tracing")],
)
def test_a_library_of_another_version_does_not_stop_the_start(
    sink: str, needed: str, tmp_path: Path, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Replace the module by an empty one, so that every import of a name from it fails.
    name = f"layercode_app.observability.{needed}"
    monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.delattr(observability, needed, raising=False)  # set where another test has imported the real one
    monkeypatch.setattr(metrics, "_sinks", [])
    for other in ("prometheus", "tracing"):
        monkeypatch.setattr(setup._Sinks, other, None if other == needed else object())
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    dsn = "http://public@127.0.0.1:9/1" if sink == "Sentry" else None
    setup._open(Settings(sentry_dsn=SecretStr(dsn) if dsn else None, metrics_dir=tmp_path), verbose=False)
    assert len(warnings) == 1
    assert warnings[0].startswith(f"{sink} cannot be set up: ")
    assert "Error: " in warnings[0]


def test_a_wrong_setting_still_does() -> None:
    def wrong() -> None:
        raise ConfigurationError("SENTRY_DSN is malformed")

    with pytest.raises(ConfigurationError):
        attempts.attempt("Sentry", wrong)


@pytest.mark.parametrize(("library", "version"), [("sentry-sdk", "3.0.0b2"), ("httpx", "1.0.dev3")])
def test_the_next_majors_are_not_installed_until_they_are_known_to_work(library: str, version: str) -> None:
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (found,) = [one for one in map(Requirement, required) if one.name == library]
    assert not found.specifier.contains(version, prereleases=True)

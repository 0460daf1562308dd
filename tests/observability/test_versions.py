"""Logs, spans and errors carry the version of the user's project, unless a setting overrides it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydantic_ai
import pytest

from layercode_app.observability.setup import _common
from layercode_app.observability.tracing import _resource
from layercode_app.settings import Settings, service_version

PROJECTS = [
    ("[project]\nname = 'bakery'\nversion = '3.2.1'\n", "3.2.1"),
    ("[tool.poetry]\nname = 'bakery'\nversion = '0.9'\n", "0.9"),
    ("[project]\nname = 'pydantic-ai-slim'\ndynamic = ['version']\n", pydantic_ai.__version__),
    ("[project]\nname = 'bakery-that-is-not-installed'\ndynamic = ['version']\n", ""),
    ("[project]\nname = 'bakery'\n[tool]\npoetry = 1\n", ""),
    ("half of [a file", ""),
    (None, ""),
]


@pytest.mark.parametrize(("project", "expected"), PROJECTS)
def test_the_version_is_that_of_the_project_in_the_working_directory(
    project: str | None, expected: str, tmp_path: Path
) -> None:
    if project is not None:
        (tmp_path / "pyproject.toml").write_text(project)
    assert service_version(Settings(), folder=tmp_path) == expected
    assert service_version(Settings(service_version="7"), folder=tmp_path) == "7"


def test_an_image_has_the_project_installed_under_the_name_of_its_service(tmp_path: Path) -> None:
    installed = Settings(service_name="pydantic-ai-slim")
    assert service_version(installed, folder=tmp_path) == pydantic_ai.__version__
    # The default service name is the toolkit's own name. The toolkit's version is not taken for the project's version.
    assert service_version(Settings(), folder=tmp_path) == ""


def test_it_is_on_every_log_line_and_span(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "version" not in _common(Settings())
    assert "service.version" not in _resource(Settings()).attributes
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'bakery'\nversion = '3.2.1'\n")
    assert _common(Settings())["version"] == "3.2.1"
    assert _resource(Settings()).attributes["service.version"] == "3.2.1"
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.version=4")
    assert _resource(Settings()).attributes["service.version"] == "4"


@pytest.mark.parametrize(
    ("variables", "settings", "release"),
    [
        ({"SENTRY_RELEASE": "mine-1"}, {"service_version": "2"}, "mine-1"),
        ({}, {"service_version": "2", "service_name": "bakery"}, "bakery@2"),
        ({}, {}, None),
    ],
)
def test_sentrys_release_is_the_users(
    variables: dict[str, str], settings: dict[str, Any], release: str | None, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from layercode_app.observability.sentry import _release

    monkeypatch.chdir(tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert _release(Settings(**settings)) == release

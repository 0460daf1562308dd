"""Find the version of the user's project. It is the service version in logs, spans and error reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .table import Settings

PYPROJECT = "pyproject.toml"
_TOOLKIT = "layercode-app"


def service_version(settings: Settings, *, folder: Path | None = None) -> str:
    """Return SERVICE_VERSION if it is set, else the version in the pyproject.toml of `folder` (by default ".").

    If pyproject.toml has no version, or is missing (in a container image, for example), return the version of the
    installed distribution with the project's name. If the project has no name, SERVICE_NAME is used as its name. Return
    "" if no version is found.
    """
    if settings.service_version:
        return settings.service_version
    project = _read(folder or Path())
    if version := project.get("version"):
        return str(version)
    name = project.get("name") or (settings.service_name if settings.service_name != _TOOLKIT else "")
    return _installed(str(name)) if name else ""


def _read(folder: Path) -> dict[str, Any]:
    """Return the tables `project` and `tool.poetry` of pyproject.toml, merged into one. Return {} if neither exists."""
    import tomllib

    try:
        found = tomllib.loads((folder / PYPROJECT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    tool = found.get("tool")
    poetry = tool.get("poetry") if isinstance(tool, dict) else None
    tables = (table for table in (found.get("project"), poetry) if isinstance(table, dict))
    merged: dict[str, Any] = {}
    for table in tables:
        merged = {**table, **merged}
    return merged


def _installed(name: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(name)
    except (metadata.PackageNotFoundError, ValueError):
        return ""

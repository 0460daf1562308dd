"""Find the version of the user's project. It is the service version in logs, spans and error reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .table import Settings

PYPROJECT = "pyproject.toml"
_TOOLKIT = "layercode-app"


def service_version(settings: Settings, *, folder: Path | None = None) -> str:
    """Return the version of the user's project, or "" if none is found.

    The first one of these that exists is returned: SERVICE_VERSION; the version in the pyproject.toml of `folder` (by
    default "."); the version of the installed distribution that has the project's name. The last one is needed, for
    example, in a container image without a pyproject.toml. The project's name is the name in pyproject.toml. If there
    is none, it is SERVICE_NAME.
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

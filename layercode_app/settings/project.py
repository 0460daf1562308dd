"""The version of the user's project, which names the service on logs, spans and errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .table import Settings

PYPROJECT = "pyproject.toml"
_TOOLKIT = "layercode-app"


def service_version(settings: Settings, *, folder: Path | None = None) -> str:
    """The version of the service: SERVICE_VERSION, else that of the project in the working directory, else "".

    An image has the project installed and not its pyproject.toml; there SERVICE_NAME names the distribution.
    """
    if settings.service_version:
        return settings.service_version
    project = _read(folder or Path())
    if version := project.get("version"):
        return str(version)
    name = project.get("name") or (settings.service_name if settings.service_name != _TOOLKIT else "")
    return _installed(str(name)) if name else ""


def _read(folder: Path) -> dict[str, Any]:
    """The project's table of pyproject.toml, or Poetry's; empty where there is none."""
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

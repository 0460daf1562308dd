"""Where this package itself came from, when that is this machine: a checkout, or a wheel that was built here."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

NAME = "layercode-app"


def local_source() -> Path | None:
    """The checkout or the wheel this was installed from, or None when it came from an index."""
    path = _installed_from() or _checkout()
    return path if path is not None and path.exists() else None


def _installed_from() -> Path | None:
    try:
        stated = distribution(NAME).read_text("direct_url.json")
    except PackageNotFoundError:
        return None
    url = urlsplit(json.loads(stated)["url"]) if stated else None
    return Path(unquote(url.path)) if url is not None and url.scheme == "file" else None


def _checkout() -> Path | None:
    """The folder above the package, where that is a checkout that was put on the path and not installed."""
    project = Path(__file__).parent.parent.parent / "pyproject.toml"
    return project.parent if project.is_file() and f'name = "{NAME}"' in project.read_text(encoding="utf-8") else None

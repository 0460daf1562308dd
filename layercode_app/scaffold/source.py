"""Find the local source of this package: a checkout, or a wheel that was built on this machine."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

NAME = "layercode-app"


def local_source() -> Path | None:
    """Return the checkout or wheel that this package was installed from; None if it came from an index."""
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
    """Return the checkout from which this package is imported; None if it is not imported from a checkout."""
    project = Path(__file__).parent.parent.parent / "pyproject.toml"
    return project.parent if project.is_file() and f'name = "{NAME}"' in project.read_text(encoding="utf-8") else None

"""The journals that tests run on: memory, SQLite, and the real Redis and PostgreSQL of the test run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

SERVERS = ["redis", "postgres"]
SHARED = ["sqlite", *SERVERS]
"""The journals that several workers share."""
STORES = ["memory", *SHARED]


def journal_url(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """Return the URL of an empty journal."""
    if kind in SERVERS:
        server: Any = request.getfixturevalue(f"{kind}_server")
        server.clear()
        return str(server.url)
    if kind == "pgbouncer":
        journal_url("postgres", request, folder)
        return str(request.getfixturevalue("pgbouncer").url)
    return "memory" if kind == "memory" else f"sqlite:///{folder}/journal.sqlite3"

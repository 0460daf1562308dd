"""Where the shipped agents lie; apart from what loads them, since `new` only copies one and is quicker without."""

from __future__ import annotations

from pathlib import Path

BUILT_IN = (Path(__file__).parent.parent / "agents", Path(__file__).parent.parent.parent / "agents")
"""Inside the installed package, or beside it in a checkout."""

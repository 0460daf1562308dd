"""The folders of the shipped agents.

They are not defined in `discovery`, because the command `new` needs them, and importing `discovery` would slow `new`
down.
"""

from __future__ import annotations

from pathlib import Path

BUILT_IN = (Path(__file__).parent.parent / "agents", Path(__file__).parent.parent.parent / "agents")
"""The possible folders of the shipped agents: inside an installed package, or next to the package in a checkout."""

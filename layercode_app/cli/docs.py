"""`docs`: show where the documentation is."""

from __future__ import annotations

from pathlib import Path

from ..exceptions import ConfigurationError
from ..output.terminal import print_line

_PACKAGE = Path(__file__).parent.parent


def docs() -> None:
    """Show where the README of this version is; its links lead to the other pages."""
    places = [folder / "README.md" for folder in (_PACKAGE, _PACKAGE.parent) if (folder / "docs/agents.md").is_file()]
    if not places:
        raise ConfigurationError(
            f"{_PACKAGE} contains no documentation: expected README.md. Install the package again."
        )
    print_line(str(places[0]))

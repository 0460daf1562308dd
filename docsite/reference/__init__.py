"""Write the reference from the code: each page is a function that returns Markdown. The pages are not committed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import agents, api, commands, errors, record, settings, telemetry, wire

PAGES: Mapping[str, Callable[[], str]] = {
    "commands": commands.page,
    "settings": settings.page,
    "api": api.package_page,
    "api-collect": api.collect_page,
    "api-testing": api.testing_page,
    "events-and-frames": wire.page,
    "record": record.page,
    "metrics-spans-logs": telemetry.page,
    "errors": errors.page,
}
"""The generated pages by their name, in the order of the navigation."""


def pages() -> dict[str, str]:
    """Return the Markdown of every generated page. Each key is the name of the page's file in `reference/`."""
    written = {f"{name}.md": page() for name, page in PAGES.items()}
    return {**written, **agents.pages()}

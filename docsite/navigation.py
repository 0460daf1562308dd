"""Order the pages by the four kinds of Diátaxis, and within each kind in the order that a reader needs.

The folder of a page decides its kind: pages directly in `docs/` are how-to pages, and each subfolder holds one of the
other kinds. A how-to page that is not in `HOW_TO` is listed after the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

HOW_TO = {
    "Build": ("new", "adopt", "fastapi", "voice-agents", "agents", "conversation", "collectors", "faster"),
    "Test": ("dev-page", "emulator", "testing", "ci"),
    "Go live": ("production", "stores", "proxies", "kubernetes"),
    "Watch": ("observability", "reports", "slack", "share"),
    "When it fails": ("why", "troubleshooting", "old-habits"),
}
"""The groups of how-to pages and their pages, in order."""
FOLDERS = {"tutorial": "Tutorial", "explanation": "Explanation", "reference": "Reference"}
"""The other kinds of pages, by their folder."""
REST = "More"
ORDER = {
    "explanation": ("a-turn", "interruptions", "once-only", "the-journal", "privacy", "latency", "comparison"),
}
"""The order of the pages in a folder. Pages that are not listed follow, sorted by name."""
ELSEWHERE = {"explanation": ("benchmarks",)}
"""Pages that are directly in `docs/`, but are not how-to pages. Maps the folder of their kind to their names."""


def title_of(page: Path) -> str:
    """Return a page's first heading, without backticks. Raises ValueError if there is none."""
    found = re.search(r"^# (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError(f"{page} has no title: expected a line that begins with '# '")
    return found[1].replace("`", "")


def navigation(folder: Path, generated: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the navigation for the generator. `generated` is the order of the reference pages."""
    order = {**ORDER, "reference": tuple(generated)}
    tutorial, explanation, reference = (
        {title: _entries(folder, _pages(folder, place, order.get(place, ())))} for place, title in FOLDERS.items()
    )
    return [{"Home": "index.md"}, tutorial, {"How-to": _how_to(folder)}, explanation, reference]


def _pages(folder: Path, place: str, order: Sequence[str]) -> list[Path]:
    """Return the pages of one kind, such as explanations. `place` is the subfolder that holds the pages of this kind.

    The index is first, then the pages in `order`, then the other pages of the subfolder by name. The pages that
    `ELSEWHERE` lists for this kind come last.
    """
    first = ["index", *order]

    def rank(page: Path) -> tuple[int, str]:
        return first.index(page.stem) if page.stem in first else len(first), page.name

    moved = [folder / f"{name}.md" for name in ELSEWHERE.get(place, ())]
    return [*sorted((folder / place).glob("*.md"), key=rank), *filter(Path.exists, moved)]


def _entries(folder: Path, pages: Iterable[Path]) -> list[dict[str, Any]]:
    return [{title_of(page): page.relative_to(folder).as_posix()} for page in pages]


def _how_to(folder: Path) -> list[dict[str, Any]]:
    known = {name for names in (*HOW_TO.values(), *ELSEWHERE.values()) for name in names}
    groups = {group: [folder / f"{name}.md" for name in names] for group, names in HOW_TO.items()}
    groups[REST] = [page for page in sorted(folder.glob("*.md")) if page.stem not in known | {"index"}]
    found = {group: _entries(folder, filter(Path.exists, pages)) for group, pages in groups.items()}
    return [{group: entries} for group, entries in found.items() if entries]

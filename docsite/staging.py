"""Copy the pages into the folder that the site generator reads, and make each link to a file lead to the file's page.

In a checkout, pages link to files outside docs/, such as `../agents/bakery.py`. On the site, these files are pages too.
"""

from __future__ import annotations

import posixpath
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

OUTSIDE: Mapping[str, str] = {
    "README.md": "index.md",
    "CHANGELOG.md": "reference/changelog.md",
    "CONTRIBUTING.md": "explanation/contributing.md",
    ".env.example": "reference/settings.md",
}
"""Files of the repository, and the pages of the site that show them."""
_LINK = re.compile(r"(?<=\]\()(?P<target>[^)#\s:]+)(?P<anchor>#[^)\s]*)?(?=\))")
_FENCE = re.compile(r"^[ ]*(```|~~~).*?^[ ]*\1[ ]*$", re.MULTILINE | re.DOTALL)
_MARKER = re.compile(r"^[ ]*<!-- (continues|skip: [^\n]*|file: [^\n]*|expect|background: [^\n]*) -->\n", re.MULTILINE)
"""Comments above code blocks that only the tests read. They are left out of the site."""


def stage(root: Path, folder: Path) -> None:
    """Copy docs/, the changelog and the contributing guide into `folder`, with their links rewritten for the site."""
    shutil.copytree(root / "docs", folder, ignore=shutil.ignore_patterns("site"))
    for page in sorted(folder.rglob("*.md")):
        place = page.relative_to(folder).as_posix()
        page.write_text(on_site(page.read_text(encoding="utf-8"), f"docs/{place}", place), encoding="utf-8")
    for name in ("CHANGELOG.md", "CONTRIBUTING.md"):
        place = OUTSIDE[name]
        page = folder / place
        page.parent.mkdir(exist_ok=True)
        # Keep the changelog out of the search: it describes old behaviour, the other pages the present behaviour.
        front = "---\nsearch:\n  exclude: true\n---\n" if name == "CHANGELOG.md" else ""
        page.write_text(front + on_site((root / name).read_text(encoding="utf-8"), name, place), encoding="utf-8")


def on_site(text: str, source: str, place: str) -> str:
    """Return a page's text with its links rewritten for the site.

    `source` is the path of the page's file in the repository, and `place` is the path of the page on the site.
    """

    def moved(match: re.Match[str]) -> str:
        target = site_page(posixpath.normpath(posixpath.join(posixpath.dirname(source), match["target"])))
        return posixpath.relpath(target, posixpath.dirname(place) or ".") + (match["anchor"] or "")

    parts: list[str] = []
    end = 0
    text = _MARKER.sub("", text)
    for fence in _FENCE.finditer(text):
        parts += [_LINK.sub(moved, text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, _LINK.sub(moved, text[end:])])


def site_page(file: str) -> str:
    """Return the page of the site that shows a file of the repository."""
    if file in OUTSIDE:
        return OUTSIDE[file]
    if file.startswith("agents/"):
        return f"reference/agent-{Path(file).stem.replace('_', '-')}.md"
    return file.removeprefix("docs/")

"""The check of the built site finds each kind of fault.

Links are rewritten for the site, and its navigation lists all pages.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from docsite.check import faults
from docsite.navigation import HOW_TO, navigation, title_of
from docsite.staging import on_site

from ..markdown import ROOT


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('<a href="gone.html">', "leads to no file"),
        ('<a href="#gone">', "names an anchor that its page does not have"),
        ('<a href="folder/other.html#gone">', "names an anchor that its page does not have"),
        ('<img src="gone.png" alt="A call">', "leads to no file"),
        ('<img src="https://cdn.example/a.png" alt="A call">', "from another host"),
        ('<script src="//cdn.example/a.js">', "from another host"),
        ('<link rel="preconnect" href="https://fonts.example">', "from another host"),
        ('<link rel="stylesheet" href="https://fonts.example/a.css">', "from another host"),
        ('<img src="folder/a.png">', "has no alternative text"),
    ],
)
def test_a_fault_is_found(tmp_path: Path, text: str, reason: str) -> None:
    _site(tmp_path, text)
    (fault,) = faults(tmp_path)
    assert fault.startswith("index.html")
    assert reason in fault


@pytest.mark.parametrize(
    "text",
    [
        '<a href="folder/other.html#here">',
        '<a href="folder/">',
        '<a href="#top"><h1 id="top">',
        '<a href="https://example.com/">',
        '<link rel="canonical" href="https://example.com/">',
        '<img src="folder/a.png" alt="A call">',
    ],
)
def test_what_is_right_is_no_fault(tmp_path: Path, text: str) -> None:
    _site(tmp_path, text)
    assert faults(tmp_path) == []


def _site(folder: Path, text: str) -> None:
    (folder / "folder").mkdir()
    (folder / "index.html").write_text(text, encoding="utf-8")
    (folder / "folder/other.html").write_text('<h2 id="here">', encoding="utf-8")
    (folder / "folder/index.html").write_text("", encoding="utf-8")
    (folder / "folder/a.png").write_bytes(b"")


def test_an_empty_folder_is_no_site(tmp_path: Path) -> None:
    assert faults(tmp_path) == [f"{tmp_path} has no pages"]


def test_links_out_of_docs_lead_to_pages_of_the_site() -> None:
    text = "[a](../agents/outdoor_shop.py) [b](../README.md) [c](stores.md#redis)\n```md\n[d](../README.md)\n```\n"
    staged = on_site(text, "docs/agents.md", "agents.md")
    assert "[a](reference/agent-outdoor-shop.md) [b](index.md) [c](stores.md#redis)" in staged
    assert "[d](../README.md)" in staged, "code is shown as it is written"
    assert on_site("[e](docs/stores.md#redis)", "CHANGELOG.md", "reference/changelog.md") == "[e](../stores.md#redis)"


def test_the_reader_sees_no_markers_of_tests() -> None:
    page = "<!-- continues -->\n```python\nx = 1\n```\n<!-- skip: needs a telephone line -->\n```sh\nls\n```\n"
    assert on_site(page, "docs/a.md", "a.md") == "```python\nx = 1\n```\n```sh\nls\n```\n"


def test_every_page_is_listed_once_and_every_listed_page_exists() -> None:
    listed = list(_pages(navigation(ROOT / "docs")))
    assert sorted(listed) == sorted(
        path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")
    )


def test_a_new_page_is_listed_by_its_place(tmp_path: Path) -> None:
    for place in ("index", "zebras", next(iter(HOW_TO["Build"])), "tutorial/1", "explanation/a", "reference/index"):
        page = tmp_path / f"{place}.md"
        page.parent.mkdir(exist_ok=True)
        page.write_text(f"# About `{page.stem}`\n", encoding="utf-8")
    how_to = dict(item for part in navigation(tmp_path) for item in part.items())["How-to"]
    assert how_to == [{"Build": [{"About new": "new.md"}]}, {"More": [{"About zebras": "zebras.md"}]}]


def test_a_page_without_title_is_refused(tmp_path: Path) -> None:
    (page := tmp_path / "page.md").write_text("No heading\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"page\.md has no title: expected a line that begins with '# '"):
        title_of(page)


def _pages(part: object) -> list[str]:
    if isinstance(part, str):
        return [part]
    parts = part.values() if isinstance(part, dict) else part
    assert isinstance(parts, list | type({}.values()))
    return [page for one in parts for page in _pages(one)]

"""Check the built pages: all internal links and anchors exist, and nothing is loaded from another host.

Every image must have an alternative text.
"""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"src", "srcset", "poster", "data"}
LOADING_LINKS = {"stylesheet", "preload", "preconnect", "prefetch", "dns-prefetch", "modulepreload", "icon"}
"""The values of `rel` for which a browser loads the target of a `<link>`, or connects to its host."""


class _Page(HTMLParser):
    """Collects the links of a page, the files that it loads, and the anchors that links may point to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.names: set[str] = set()
        self.images_without_text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.names |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        self.loads += [found[name] for name in LOADED if name in found]
        if tag == "link" and LOADING_LINKS & set(found.get("rel", "").split()):
            self.loads.append(found.get("href", ""))
        if tag == "img" and not found.get("alt"):
            self.images_without_text.append(found.get("src", ""))


def faults(site: Path) -> list[str]:
    """Return the faults in the pages of a site; an empty list if there are none."""
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    if not pages:
        return [f"{site} has no pages"]
    return [fault for path, page in pages.items() for fault in _of_page(site, path, page, pages)]


def _of_page(site: Path, path: Path, page: _Page, pages: dict[Path, _Page]) -> Iterator[str]:
    name = path.relative_to(site).as_posix()
    for link in page.links:
        if reason := _broken(site, path, link, pages):
            yield f"{name}: {reason}"
    for address in page.loads:
        if _elsewhere(address):
            yield f"{name} loads {address} from another host"
        elif not address.startswith("data:") and (reason := _broken(site, path, address, pages)):
            yield f"{name}: {reason}"
    for image in page.images_without_text:
        yield f"{name}: the image {image} has no alternative text"


def _elsewhere(address: str) -> bool:
    return address.startswith("//") or urlsplit(address).scheme not in ("", "data")


def _broken(site: Path, path: Path, link: str, pages: dict[Path, _Page]) -> str:
    """Return why an internal link is broken; "" if it is not."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return ""
    start = site if parts.path.startswith("/") else path.parent
    target = (start / unquote(parts.path).lstrip("/")).resolve() if parts.path else path.resolve()
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file():
        return f"the link {link} leads to no file"
    page = pages.get(target)
    if parts.fragment and page is not None and unquote(parts.fragment) not in page.names:
        return f"the link {link} names an anchor that its page does not have"
    return ""

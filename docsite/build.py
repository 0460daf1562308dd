"""Build the site: stage the pages, write the reference, run the generator, and check what it made."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from .check import faults
from .navigation import navigation, title_of
from .reference import PAGES, pages
from .staging import stage

ROOT = Path(__file__).parents[1]
HERE = Path(__file__).parent
SHIM = "https://unpkg.com/iframe-worker/shim"
"""The only script that the generator's offline search loads from another host. The build replaces it with our own."""


def build(site: Path) -> list[str]:
    """Build the site into a folder, and return the faults that were found in it."""
    # The generator accepts only folders below the folder of its configuration file.
    work = site.resolve().parent / "docsite"
    shutil.rmtree(work, ignore_errors=True)
    shutil.rmtree(site, ignore_errors=True)
    write_pages(work / "pages")
    config = work / "zensical.toml"
    config.write_text(_config(work / "pages"), encoding="utf-8")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "--config-file", str(config)]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        return [*done.stdout.splitlines(), *done.stderr.splitlines()]
    shutil.move(work / "site", site)
    _use_own_shim(site)
    return faults(site.resolve())


def write_pages(folder: Path) -> None:
    """Write every page of the site as Markdown: the pages of docs/ and the reference."""
    stage(ROOT, folder)
    shutil.copytree(HERE / "assets", folder / "assets")
    for name, text in pages().items():
        (folder / "reference" / name).write_text(text, encoding="utf-8")
    with (folder / "reference/index.md").open("a", encoding="utf-8") as index:
        index.write("\n## Pages\n\n")
        index.writelines(f"- [{title_of(folder / 'reference' / f'{name}.md')}]({name}.md)\n" for name in PAGES)


def _config(folder: Path) -> str:
    head = {"docs_dir": folder.name, "site_dir": "site", "nav": navigation(folder, [*PAGES])}
    lines = "".join(f"{name} = {_toml(value)}\n" for name, value in head.items())
    return (HERE / "zensical.toml").read_text(encoding="utf-8").replace("[project]\n", f"[project]\n{lines}", 1)


def _toml(value: Any) -> str:
    """Return a value as one line of TOML. Inline tables of TOML are written differently from objects of JSON."""
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{json.dumps(name)} = {_toml(one)}' for name, one in value.items())} }}"
    return json.dumps(value, ensure_ascii=False)


def _use_own_shim(site: Path) -> None:
    for page in site.rglob("*.html"):
        to_top = "../" * (len(page.relative_to(site).parts) - 1)
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace(SHIM, f"{to_top}assets/file-worker.js"), encoding="utf-8")

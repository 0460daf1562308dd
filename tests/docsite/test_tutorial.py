"""The tutorial works: every step is run from its own text, in an empty folder, to the end."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from ..markdown import ROOT, blocks_of
from ..ports import free_port
from .tutorial import PAGES, Reader

KNOWN = re.compile(r"skip: \S.{14,}|file: \S+|background: http://\S+|expect")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_step_of_the_tutorial_works(tmp_path: Path) -> None:
    reader = Reader(tmp_path, free_port())
    for page in PAGES:
        reader.follow(page)
    assert (tmp_path / "florist/Dockerfile").is_file()


def test_a_step_that_prints_something_else_fails(tmp_path: Path) -> None:
    (page := tmp_path / "1.md").write_text(
        "```sh\necho roses\n```\n<!-- expect -->\n```text\ntulips\n```\n", encoding="utf-8"
    )
    with pytest.raises(AssertionError, match=r"1\.md:6 says 'tulips', the command printed:\nroses"):
        Reader(tmp_path, 8000).follow(page)


def test_a_step_that_fails_is_named(tmp_path: Path) -> None:
    (page := tmp_path / "1.md").write_text("```sh\necho roses; false\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match=r"1\.md:2: echo roses; false\nended with 1:\nroses"):
        Reader(tmp_path, 8000).follow(page)


def test_the_steps_are_in_order_and_each_leads_to_the_next() -> None:
    index = (ROOT / "docs/tutorial/index.md").read_text(encoding="utf-8")
    assert re.findall(r"^\d\. \[.*\]\((.*)\)$", index, re.MULTILINE) == [page.name for page in PAGES]
    for page, following in itertools.pairwise(PAGES):
        assert f"]({following.name})." in page.read_text(encoding="utf-8").splitlines()[-1]


def test_every_marker_of_the_tutorial_is_known() -> None:
    marked = [block for page in PAGES for block in blocks_of(page.name, page.read_text(encoding="utf-8"))]
    assert [block.place for block in marked if block.marker and not KNOWN.fullmatch(block.marker)] == []
    assert sum(block.skipped for block in marked) <= 2

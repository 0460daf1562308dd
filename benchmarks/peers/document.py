"""Write the table and the plot into docs/, between the markers of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .catalogue import ROOT
from .plot import plot
from .results import Result
from .table import tables

PAGE = ROOT / "docs/benchmarks.md"
PLOT = ROOT / "docs/benchmarks.svg"
BEGIN, END = "<!-- peers: begin -->", "<!-- peers: end -->"


def write_docs(results: Sequence[Result], about: str, *, page: Path = PAGE, image: Path = PLOT) -> None:
    """Write `about` and the tables between the markers BEGIN and END of the page, and the plot into the image file.

    Raises ValueError if the page does not have both markers.
    """
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page.name} has no {BEGIN} … {END}, so there is no place for the table")
    page.write_text(f"{before}{BEGIN}\n\n{about}\n\n{tables(results)}\n\n{END}{after}", encoding="utf-8")
    image.write_text(plot(results), encoding="utf-8")

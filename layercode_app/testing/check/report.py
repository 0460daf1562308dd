"""A report of checks for people, and for programs that read JUnit."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .model import Outcome, Report

SIGNS = {"passed": Text("pass", "green"), "failed": Text("FAIL", "bold red"), "skipped": Text("skip", "yellow")}


def show(report: Report) -> None:
    """Print a table of the checks, then for each that failed what failed, why it matters and how to mend it."""
    console = Console()
    table = Table("", "check", "", box=None, pad_edge=False)
    for outcome in report.outcomes:
        table.add_row(SIGNS[outcome.status], outcome.check.name, Text(_line(outcome)))
    console.print(table)
    for outcome in report.failed:
        console.print()
        console.print(Text(f"{outcome.check.name}: {outcome.check.title}", "bold red"))
        for label, text in (
            ("failed", outcome.detail),
            ("why it matters", outcome.check.why),
            ("mend", outcome.check.mend),
        ):
            console.print(Text.assemble((f"  {label}: ", "dim"), text))
    counts = report.counts
    console.print(f"\n{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped: {report.url}")


def _line(outcome: Outcome) -> str:
    return outcome.check.title if outcome.status == "passed" else f"{outcome.check.title} ({outcome.detail})"


def junit(report: Report) -> str:
    """The report as JUnit XML, one test case per check."""
    counts = report.counts
    suite = Element(
        "testsuite",
        name="layercode check",
        tests=str(len(report.outcomes)),
        failures=str(counts["failed"]),
        skipped=str(counts["skipped"]),
    )
    for outcome in report.outcomes:
        check = outcome.check
        case = SubElement(suite, "testcase", classname=check.group, name=check.name, time=f"{outcome.seconds:.3f}")
        if outcome.status == "failed":
            failure = SubElement(case, "failure", message=printable(outcome.detail))
            failure.text = f"Why it matters: {check.why}\nMend: {check.mend}"
        elif outcome.status == "skipped":
            SubElement(case, "skipped", message=printable(outcome.detail))
    indent(suite)
    return tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def printable(text: str) -> str:
    """Text as XML can hold it."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in text)

"""Show a report of checks on the terminal or as JUnit XML."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from ...output.tables import Cell, plain_table
from ...output.terminal import print_block, print_line, print_table
from ...output.visible import visible_lines
from .model import Outcome, Report

SIGNS = {"passed": ("pass", "green"), "failed": ("FAIL", "bold red"), "skipped": ("skip", "yellow")}


def show(report: Report) -> None:
    """Print a table of the checks. For each failed check, print what failed, why it matters and how to fix it."""
    rows: list[list[Cell]] = [[_sign(one), one.check.name, _line(one)] for one in report.outcomes]
    print_table(plain_table(("", "check", ""), rows))
    for outcome in report.failed:
        print_line()
        print_line((f"{outcome.check.name}: {outcome.check.title}", "bold red"))
        for label, text in (
            ("failed", outcome.detail),
            ("why it matters", outcome.check.why),
            ("fix", outcome.check.fix),
        ):
            print_block(f"  {label}: ", text)
    if report.died:
        print_line()
        print_line(("The webhook died during the checks. The remaining checks were skipped.", "bold red"))
    counts = report.counts
    print_line()
    print_line(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped: {report.url}")


def _sign(outcome: Outcome) -> tuple[str, str]:
    warns = outcome.status == "failed" and outcome.check.severity == "warning"
    return ("warn", "yellow") if warns else SIGNS[outcome.status]


def _line(outcome: Outcome) -> str:
    return outcome.check.title if outcome.status == "passed" else f"{outcome.check.title} ({outcome.detail})"


def junit(report: Report) -> str:
    """Return the report as JUnit XML, with one test case per check."""
    counts = report.counts
    suite = Element(
        "testsuite",
        name="layercode check",
        tests=str(len(report.outcomes)),
        failures=str(counts["failed"] - report.died),
        errors=str(int(report.died)),
        skipped=str(counts["skipped"]),
        time=f"{sum(outcome.seconds for outcome in report.outcomes):.3f}",
    )
    for outcome in report.outcomes:
        check = outcome.check
        case = SubElement(suite, "testcase", classname=check.group, name=check.name, time=f"{outcome.seconds:.3f}")
        if outcome.status == "failed":
            kind = "error" if outcome.died else "failure"
            failure = SubElement(case, kind, message=visible_lines(outcome.detail), type=check.severity)
            failure.text = f"Why it matters: {check.why}\nFix: {check.fix}"
        elif outcome.status == "skipped":
            SubElement(case, "skipped", message=visible_lines(outcome.detail))
    indent(suite)
    return tostring(suite, encoding="unicode", xml_declaration=True) + "\n"

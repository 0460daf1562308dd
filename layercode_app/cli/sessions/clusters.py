"""Group calls by the callers' requests, and show the groups that no scenario covers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...journal.cost import dollars
from ...output.tables import column, plain_table
from ...output.terminal import print_json, print_line, print_table
from ...output.visible import shortened
from ...reports.clusters import Asked, Cluster, calls_of, clusters_of, uncovered
from ...reports.figures import counted
from ...testing.evals.scenario import Scenario, load
from .view import with_journal

if TYPE_CHECKING:
    from ...output.tables import Column, Table

LONGEST_EXAMPLE = 60


def print_clusters(
    store: str | None, *, since: float, limit: int, scenarios: Path, model: str | None, as_json: bool
) -> None:
    """Group the calls and print the groups, the largest first."""
    calls = with_journal(store, lambda journal: calls_of(journal, since=since))
    found = clusters_of(calls, _texts(scenarios), _topics(model, calls))
    if as_json:
        print_json([cluster.to_json() for cluster in found[:limit]])
        return
    if not calls:
        print_line("No caller has said anything in this period.")
        return
    print_table(_table(found[:limit]))
    for line in _remarks(found, calls, limit=limit, scenarios=scenarios):
        print_line(line)


def _remarks(found: Sequence[Cluster], calls: Sequence[Asked], *, limit: int, scenarios: Path) -> Iterator[str]:
    """Yield notes on groups that the table omits, on calls without a group, and on groups without a scenario."""
    grouped = sum(len(one.calls) for one in found)
    if rest := sum(len(one.calls) for one in found[limit:]):
        yield f"{counted(len(found) - limit, 'smaller group')} with {counted(rest, 'call')} not shown; see --limit."
    if silent := len(calls) - grouped:
        yield f"{counted(silent, 'call')} in no group: the words do not show what the caller wanted."
    if missing := uncovered(found):
        yield f"{len(missing)} of {counted(len(found), 'group')} not covered by any scenario in {scenarios}/."


def _table(found: Sequence[Cluster]) -> Table:
    heads: list[Column | str] = [
        column("asked for", overflow="fold"),
        *(column(head, justify="right", no_wrap=True) for head in ("calls", "went well", "cost each")),
        "for example",
        "scenario",
    ]
    return plain_table(heads, [_row(cluster) for cluster in found])


def _row(cluster: Cluster) -> list[str]:
    covered = shortened(cluster.scenarios[0], 40) if cluster.scenarios else "none"
    example = shortened(" ".join(cluster.example.split()), LONGEST_EXAMPLE)
    return [
        shortened(cluster.name, 40),
        f"{len(cluster.calls):,}",
        f"{cluster.well:.0%}",
        dollars(cluster.cost),
        example,
        covered,
    ]


def _topics(model: str | None, calls: Sequence[Asked]) -> list[str] | None:
    if model is None:
        return None
    from ...agent.models import named_model
    from ...reports.topics import topics_of

    return asyncio.run(topics_of(named_model(model, "--model", offline=False), [asked.text for asked in calls]))


def _texts(folder: Path) -> dict[str, str]:
    """Return the caller's words and goal in each scenario below a folder. Each key is `FILE: NAME`."""
    paths = sorted((*folder.rglob("*.yaml"), *folder.rglob("*.yml"))) if folder.is_dir() else []
    return {f"{path.stem}: {one.name}": _words(one) for path in paths for one in load(path).scenarios}


def _words(scenario: Scenario) -> str:
    said = [step.say or "" for step in scenario.turns]
    if scenario.caller is not None:
        said.append(scenario.caller.goal)
        script = scenario.caller.script
        said += [rule.say for rule in script] if isinstance(script, list) else []
    return "\n".join(filter(None, said))

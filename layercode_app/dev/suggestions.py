"""Find a few sentences to try with each agent: in the project's scenarios and tests, then in the gallery."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..exceptions import ConfigurationError
from ..scaffold.conversations import CONVERSATIONS
from ..testing.evals.scenario import load, scenario_files

MOST = 3
"""Maximum number of sentences for each agent."""


def suggestions(project: Path, agents: Iterable[str]) -> dict[str, list[str]]:
    """Return at most `MOST` sentences for each agent, by the agent's name. Files that cannot be read are skipped."""
    found: dict[str, dict[str, None]] = {name: {} for name in agents}
    for agent, text in [*_in_scenarios(project / "evals"), *_in_tests(project / "tests"), *_in_gallery()]:
        if agent in found and len(found[agent]) < MOST and text.strip():
            found[agent][text] = None
    return {agent: list(texts) for agent, texts in found.items()}


def _in_scenarios(folder: Path) -> Iterator[tuple[str, str]]:
    for path in scenario_files(folder):
        try:
            file = load(path)
        except ConfigurationError:
            continue
        yield from ((file.agent, step.say) for one in file.scenarios for step in one.turns if step.say is not None)


def _in_tests(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield (agent, text) for each text that a test file says to its agent.

    The file must name exactly one agent with `agent("…")`. The texts are in CONVERSATION and in `call.say("…")`.
    """
    for path in sorted(folder.glob("test_*.py")):
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):  # the last two for deep nesting
            continue
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
        agents = {text for call in calls if _method(call) == "agent" for text in _first(call.args)}
        said = [text for call in calls if _method(call) == "say" for text in _first(call.args)]
        if len(agents) == 1:
            yield from ((agent, text) for agent in agents for text in [*_listed(tree), *said])


def _method(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _first(values: list[ast.expr]) -> list[str]:
    return [one.value for one in values[:1] if isinstance(one, ast.Constant) and isinstance(one.value, str)]


def _listed(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        target = node.target if isinstance(node, ast.AnnAssign) else None
        if isinstance(target, ast.Name) and target.id == "CONVERSATION":
            for line in ast.walk(node):
                if isinstance(line, ast.Tuple):
                    yield from _first(line.elts)


def _in_gallery() -> Iterator[tuple[str, str]]:
    yield from ((agent, line.say) for agent, lines in CONVERSATIONS.items() for line in lines)

"""Every module of the package prints only through `output`."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from ..imports import imports_of, modules

OUTPUT = "output/"
LOG_SINKS = {
    "observability/console.py": "log lines for people; it makes each text visible itself",
    "observability/json_lines.py": "JSON lines on stdout, which hold no control character",
    "observability/outages.py": "one fixed sentence about a log file, which cannot be logged",
}
"""The modules other than `output` that write to stdout or stderr, each with its reason."""
PRINTERS = {"echo", "secho", "style", "prompt", "confirm", "progressbar", "echo_via_pager", "edit", "clear", "pause"}
"""What typer and click print with."""
STREAMS = {"stdout", "stderr", "stdin", "__stdout__", "__stderr__"}
LIBRARIES = {"typer", "click"}


def _prints(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _calls(node)
        elif isinstance(node, ast.Attribute):
            yield from _names(ast.unparse(node.value), [node.attr])
        elif isinstance(node, ast.ImportFrom):
            yield from _names(node.module or "", [alias.name for alias in node.names])


def _calls(node: ast.Call) -> Iterator[str]:
    called = ast.unparse(node.func)
    if called in ("print", "input") or (called == "os.write" and ast.unparse(node.args[0]) in ("1", "2")):
        yield called


def _names(owner: str, names: list[str]) -> Iterator[str]:
    for name in names:
        if (
            (owner in LIBRARIES and name in PRINTERS)
            or (owner == "sys" and name in STREAMS)
            or (owner == "traceback" and name.startswith("print_"))
        ):
            yield f"{owner}.{name}"


def _rich(module: str, tree: ast.Module) -> Iterator[str]:
    yield from (found.target for found in imports_of(module, tree) if found.target.split(".")[0] == "rich")


def _found(module: str, tree: ast.Module) -> list[str]:
    return [*_prints(tree), *_rich(module, tree)]


READS_STDIN = {f"cli/chat/{name}.py": {"sys.stdin"} for name in ("lines", "line_editor")}
"""`chat` reads what is typed."""


@pytest.mark.slow
def test_no_module_prints_past_output() -> None:
    for module, tree in modules():
        if module.startswith(OUTPUT):
            continue
        found = set(_found(module, tree)) - READS_STDIN.get(module, set())
        if module in LOG_SINKS:
            assert found in ({"sys.stdout"}, {"sys.stderr"}), "a sink that no longer prints is not listed"
        else:
            assert not found, f"{module} uses {sorted(found)}; print with layercode_app/output/terminal.py"


@pytest.mark.parametrize(
    "source",
    [
        "print('x')", "typer.echo(x)", "from typer import secho", "click.prompt('x')", "sys.stdout.write(x)",
        "from sys import stderr", "from rich.console import Console", "import rich", "def f():\n    from rich import print",
        "traceback.print_exc()", "os.write(1, x)", "input()",
    ],
)  # fmt: skip
def test_no_form_of_printing_is_overlooked(source: str) -> None:
    assert _found("x.py", ast.parse(source))

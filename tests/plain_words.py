"""Find vague words that should be replaced by a precise noun or a technical term. `make lint` runs this check.

    python -m tests.plain_words

It searches the strings and comments of the package, the docstrings and comments of all other Python code, and the
documents.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORDS = re.compile(
    r"\b(somebody|nobody|anybody|whoever|owe|owes|owed|mend|mends|mended|mending|dear|so many|beats|who asks)\b",
    re.IGNORECASE,
)
"""Words that should be replaced, for example by: the caller, the worker, the client; enqueue, fix, expensive, override."""
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "docs/**/*.md", ".env.example", "Makefile")
SPOKEN = ("layercode_app/agents/", "layercode_app/scaffold/conversations.py")
"""Files with the words of agents and callers, who may use everyday words."""


def found() -> Iterator[str]:
    """Yield each line that contains one of WORDS, as `path:line: 'word' in: line`."""
    for folder in ("layercode_app", "tests", "benchmarks", "docsite", "agents"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith(SPOKEN) and path != Path(__file__):
                yield from _in_code(name, path.read_text(encoding="utf-8"), strings=folder == "layercode_app")
    for pattern in DOCUMENTS:
        for path in sorted(ROOT.glob(pattern)):
            yield from _in_lines(path.relative_to(ROOT).as_posix(), 1, path.read_text(encoding="utf-8"))


def _in_code(name: str, code: str, *, strings: bool) -> Iterator[str]:
    docstrings = set() if strings else set(_docstring_lines(code))
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        prose = token.type == tokenize.STRING and (strings or token.start[0] in docstrings)
        if prose or token.type == tokenize.COMMENT:
            yield from _in_lines(name, token.start[0], token.string)


def _docstring_lines(code: str) -> Iterator[int]:
    """Yield the lines on which a docstring, or another string that is a statement, begins."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno


def _in_lines(name: str, first: int, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), first):
        if word := WORDS.search(line):
            yield f"{name}:{number}: {word[0]!r} in: {line.strip()[:120]}"


if __name__ == "__main__":
    lines = list(found())
    sys.stdout.writelines(f"{line}\n" for line in lines)
    if lines:
        sys.exit(f"{len(lines)} stand-in words: name the person or the thing, or use the field's term.")

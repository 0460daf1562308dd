"""Each shipped agent file is a short example that uses only public names. Type checks cover it in the project tests."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import layercode_app
import layercode_app.collect
from layercode_app.agent.discovery import discover

from .talking import AGENTS

FILES = sorted(AGENTS.glob("*.py"))
LIBRARIES = {"layercode_app", "pydantic", "pydantic_ai"}


def test_the_gallery_is_whole() -> None:
    found = discover(AGENTS)
    assert not found.failed
    assert set(found.agents) >= {
        "bakery", "concierge", "echo", "front_desk", "helpdesk", "outdoor_shop", "phone_intake", "pipeline", "slow",
        "starter",
    }  # fmt: skip
    assert all(found.agents[name].title for name in found.agents)
    assert all(found.agents[path.stem].greeting for path in FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_is_short_and_imports_public_names_only(path: Path) -> None:
    source = path.read_text()
    assert len(source.splitlines()) <= 130
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            assert all(alias.name in sys.stdlib_module_names for alias in node.names), ast.unparse(node)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            root = module.split(".")[0]
            assert root in LIBRARIES | sys.stdlib_module_names, ast.unparse(node)
            assert not any(part.startswith("_") for part in module.split(".")), ast.unparse(node)
            if root == "layercode_app":
                public = {"layercode_app": layercode_app, "layercode_app.collect": layercode_app.collect}[module]
                assert {alias.name for alias in node.names} <= set(public.__all__)

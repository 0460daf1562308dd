"""After a change of a module that agent files import, the development server uses the new code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from layercode_app.dev.agents import AgentFiles, Loaded
from layercode_app.exceptions import AgentImportError


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "stand").mkdir()
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("stand", "shopping", "fruit"):
            del sys.modules[name]


def write(path: Path, text: str) -> None:
    """Write a file that is larger than before. Python compares sizes to notice that a compiled module is outdated."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size = path.stat().st_size if path.exists() else 0
    path.write_text(text + "#" * (size + 1 - len(text)))


def shop(how: str, value: str = "TEA") -> str:
    return f'''"""Sells tea."""
from layercode_app import VoiceAgent
{how}

def price() -> str:
    from stand._later import TEA
    return TEA

agent = VoiceAgent("shop", greeting=f"Tea costs {{{value}}}.")
'''


def greeting(loaded: Loaded) -> object:
    return loaded.voices[0].greeting


@pytest.mark.parametrize("package", [True, False], ids=["package", "namespace"])
@pytest.mark.parametrize(
    ("how", "value"),
    [("from stand._prices import TEA", "TEA"), ("from stand import _prices", "_prices.TEA"),
     ("import stand._prices", "stand._prices.TEA")],
)  # fmt: skip
def test_a_helper_of_an_agent_file(project: Path, how: str, value: str, package: bool) -> None:
    if package:
        write(project / "stand/__init__.py", "")
    write(project / "stand/_prices.py", "TEA = 2")
    write(project / "stand/shop.py", shop(how, value))
    files = AgentFiles("shop", project / "stand")
    assert greeting(files.load()) == "Tea costs 2."
    write(project / "stand/_prices.py", "TEA = 9")
    assert greeting(files.load()) == "Tea costs 9."


def test_a_helper_of_an_agent_that_is_chosen_by_its_module(project: Path) -> None:
    write(project / "shopping/bots/prices.py", "TEA = 2")
    write(project / "shopping/bots/shop.py", shop("from .prices import TEA"))
    write(project / "shopping/state.py", "")
    files = AgentFiles("shopping.bots.shop:agent", project / "stand")
    assert greeting(files.load()) == "Tea costs 2."
    import shopping.state  # type: ignore[import-not-found]

    write(project / "shopping/bots/prices.py", "TEA = 9")
    assert greeting(files.load()) == "Tea costs 9."
    # It lies outside the watched folder.
    assert sys.modules["shopping.state"] is shopping.state


def test_if_a_helper_fails_the_old_agent_still_finds_the_old_modules(project: Path) -> None:
    write(project / "stand/_later.py", "TEA = 2")
    write(project / "stand/_prices.py", "TEA = 2")
    write(project / "stand/shop.py", shop("from stand._prices import TEA"))
    files = AgentFiles("shop", project / "stand")
    old = files.load().voices[0]
    later = __import__("stand._later")._later
    write(project / "stand/_prices.py", "TEA = 1 / 0")
    loaded = files.load()
    assert loaded.voices[0] is old
    assert "ZeroDivisionError" in "".join(loaded.failed.values())
    assert sys.modules["stand._later"] is later
    assert __import__("stand")._later is later
    write(project / "stand/_prices.py", "TEA = 9")
    assert greeting(files.load()) == "Tea costs 9."


def test_if_the_chosen_module_fails_its_old_modules_stay(project: Path) -> None:
    write(project / "shopping/prices.py", "TEA = 2")
    write(project / "shopping/shop.py", shop("from .prices import TEA"))
    files = AgentFiles("shopping.shop:agent", project / "stand")
    files.load()
    before, prices = sys.modules["shopping.shop"], sys.modules["shopping.prices"]
    write(project / "shopping/prices.py", "TEA = 9")
    write(project / "shopping/shop.py", "import shopping.prices\n1 / 0")
    with pytest.raises(AgentImportError, match="ZeroDivisionError"):
        files.load()
    assert sys.modules["shopping.shop"] is before
    assert __import__("shopping").shop is before
    assert sys.modules["shopping.prices"] is prices
    assert __import__("shopping").prices is prices


def test_libraries_in_the_folder_and_the_main_program_are_not_imported_again(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project / "stand/.venv/fruit.py", "")
    monkeypatch.syspath_prepend(project / "stand/.venv")
    monkeypatch.setattr("layercode_app.dev.fresh_imports.is_library", lambda file: ".venv" in file)
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "__file__", str(project / "stand/main.py"), raising=False)
    write(project / "stand/shop.py", shop("import fruit", "fruit"))
    files = AgentFiles("shop", project / "stand")
    files.load()
    fruit = sys.modules["fruit"]
    files.load()
    assert (sys.modules["fruit"], sys.modules["__main__"]) == (fruit, main)

"""Check every import of the package: each layer imports only the layers that it may import.

Five of the layers are stages. An event flows through them: webhook -> conversation -> agent -> stream -> server. A
stage imports no stage to its right.
"""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .imports import NAME, Import, imports, imports_of, modules
from .private_parts import inherited_parts, private_parts

GROUND = {
    "exceptions", "_version", "_compat", "wellformed", "blank", "nearest", "percentiles", "spoken", "output", "settings",
    "journal", "observability",
}  # fmt: skip
"""The layers that all layers outside this set may import. They import no stage."""
STAGES = ["webhook", "conversation", "agent", "stream", "server"]

MAY_IMPORT: dict[str, set[str]] = {
    "exceptions": set(),
    "_version": set(),
    "_compat": set(),
    "wellformed": set(),
    "blank": set(),
    "nearest": set(),
    "percentiles": set(),
    "spoken": {"exceptions"},
    "output": {"exceptions", "wellformed"},
    "settings": {"exceptions", "nearest"},
    "journal": {"exceptions", "wellformed", "settings"},
    "observability": GROUND - {"observability"},
    "webhook": GROUND,
    "jobs": GROUND,
    "conversation": GROUND | {"webhook", "jobs"},
    "agent": GROUND | {"webhook", "jobs", "conversation", "judging"},
    "collect": GROUND | {"conversation"},
    "stream": GROUND | {"webhook", "conversation"},
    "platform": GROUND | {"webhook"},
    "reports": GROUND | {"judging"},
    "watch": GROUND | {"judging", "reports"},
    "server": GROUND | {*STAGES, "jobs", "judging", "platform", "watch"},
    "emulator": GROUND | {"webhook", "stream", "platform", "reports"},
    "judging": GROUND,
    "doctor": GROUND | {"webhook", "agent", "platform"},
    "testing": GROUND | {*STAGES, "emulator", "judging", "reports"},
    "replay": GROUND | {"webhook", "conversation", "agent", "judging", "testing", "reports"},
    "dev": GROUND | {"agent", "server", "emulator", "replay", "scaffold", "testing"},
    "scaffold": GROUND,
    "adopt": GROUND | {"agent", "conversation"},
}
"""Each layer and what it may import besides itself."""

READERS_OF_THE_JOURNAL = ("reports", "watch", "doctor", "dev", "cli")
"""The layers that read recorded turns. They must not import the turn engine, which records turns.

`replay` is not one of these layers, because it runs turns again.
"""

COMPOSERS = {"__init__", "__main__", "cli"}
"""The modules that put the layers together: the public API and the command line. No layer imports them."""

EDGE = {"server", "emulator", "dev"}
"""The only layers that know Starlette."""

LIGHT = {"typer", "click", "rich", "typing_extensions"}
"""What `--help` may import besides the standard library."""

ENVIRONMENT: dict[str, str] = {
    "settings/environment.py": "all other modules read the environment through it",
    "cli/main.py": "it tells pydantic, before it is imported, which plugin and banner to leave out",
}
"""The modules that touch os.environ, each with its reason."""

NOT_PRIVATE: dict[str, str] = {
    "os._exit": "the documentation of `os` describes it",
    "sys._getframe": "the documentation of `sys` describes it",
    "settings._sources": "it is a field of our own Settings, filled by its loader",
}
"""Private names that modules outside _compat may touch, each with its reason."""

READERS = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}


def layer(module: str) -> str:
    """The layer of a path inside the package, or of a dotted name under it."""
    return module.removeprefix(f"{NAME}.").replace("/", ".").removesuffix(".py").split(".")[0]


def _ours() -> Iterator[tuple[str, str, Import]]:
    layers = {layer(module) for module, _ in modules()}
    for found in imports():
        if found.target.split(".")[0] == NAME:
            target = layer(found.target)
            # If the imported name is not a layer, it belongs to the public API, which the package's `__init__` exports.
            yield layer(found.module), target if target in layers else "__init__", found


def test_every_layer_has_its_place() -> None:
    unplaced = {layer(module) for module, _ in modules()} - MAY_IMPORT.keys() - COMPOSERS
    assert not unplaced, f"list in MAY_IMPORT what {sorted(unplaced)} may import"


@pytest.mark.slow
def test_a_layer_imports_only_what_is_above_it() -> None:
    wrong = [
        str(found)
        for source, target, found in _ours()
        if source not in COMPOSERS and target != source and target not in MAY_IMPORT.get(source, ())
    ]
    assert not wrong, "\n".join(wrong)


def test_readers_of_the_journal_do_not_import_the_turn_engine() -> None:
    wrong = [
        str(found) for source, target, found in _ours() if source in READERS_OF_THE_JOURNAL and target == "conversation"
    ]
    assert not wrong, "\n".join(wrong)


def test_no_files_import_each_other_in_a_circle() -> None:
    """Imports for type checkers and imports inside functions count, too."""
    reached: dict[str, set[str]] = {module: set() for module, _ in modules()}
    for found in imports():
        reached[found.module] |= {file for file in list(_files(found.target))[-2:] if file in reached} - {found.module}
    while alone := [module for module, targets in reached.items() if not targets]:
        reached = {module: targets - set(alone) for module, targets in reached.items() if module not in alone}
    in_circles = _within_circles(reached)
    assert not in_circles, "these files are in a circle of imports, or between two: " + ", ".join(sorted(in_circles))


def _within_circles(reached: dict[str, set[str]]) -> set[str]:
    """Remove, again and again, each file that no remaining file imports. Return the files that remain."""
    while True:
        imported = set().union(*reached.values()) if reached else set()
        left = {module: targets for module, targets in reached.items() if module in imported}
        if len(left) == len(reached):
            return set(left)
        reached = left


def test_starlette_stays_at_the_edge() -> None:
    web = {"starlette", "fastapi"}
    wrong = [str(found) for found in imports() if found.target.split(".")[0] in web and layer(found.module) not in EDGE]
    assert not wrong, "\n".join(wrong)


def _imported_with(module: str) -> list[Import]:
    """Return all imports that run when this module is imported, also the imports of our modules that it loads."""
    by_module: dict[str, list[Import]] = {}
    for found in imports():
        if found.top:
            by_module.setdefault(found.module, []).append(found)
    seen: dict[str, list[Import]] = {}
    waiting = [module]
    while waiting:
        if (module := waiting.pop()) not in seen:
            seen[module] = by_module.get(module, [])
            waiting += [file for found in seen[module] for file in _files(found.target)]
    return [found for several in seen.values() for found in several]


def _files(target: str) -> Iterator[str]:
    """Yield the files of this package that an import of a dotted name may run, by their path in the package.

    Each part of the name may be a package, a module or a name inside a module, so not every file exists.
    """
    parts = target.split(".")
    if parts[0] == NAME:
        for end in range(1, len(parts) + 1):
            inside = "/".join(parts[1:end])
            yield from (f"{inside}.py", f"{inside}/__init__.py".lstrip("/"))


def test_help_imports_nothing_heavy() -> None:
    known = LIGHT | sys.stdlib_module_names | {NAME}
    wrong = [str(found) for found in _imported_with("cli/main.py") if found.target.split(".")[0] not in known]
    assert not wrong, "\n".join(wrong)


def test_help_runs_without_the_heavy_libraries() -> None:
    code = "import sys; from layercode_app.cli.main import app; app(['--help'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "typer" in loaded
    assert loaded & {"pydantic", "pydantic_settings", "pydantic_ai", "logfire", "loguru", "starlette", "httpx"} == set()


APP = """
import asyncio, sys
from layercode_app import LayerCode, VoiceAgent, load_settings
given = {"store": "memory", "webhook_secret": "test-secret", "log_dir": ""}
app = LayerCode(VoiceAgent("echo", greeting="Hi."), settings=load_settings(given, env_file=None, toml_file=None))
asyncio.run(app.start())
print(*sys.modules)
"""


@pytest.mark.slow
def test_an_app_whose_agents_have_no_model_starts_without_pydantic_ai() -> None:
    done = subprocess.run([sys.executable, "-c", APP], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "starlette" in loaded
    assert "pydantic_ai" not in loaded


def _touches_environment(tree: ast.Module) -> bool:
    return any(
        (isinstance(node, ast.Attribute) and node.attr in READERS and ast.unparse(node.value) == "os")
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and READERS & {a.name for a in node.names})
        for node in ast.walk(tree)
    )


@pytest.mark.slow
def test_private_parts_of_libraries_are_touched_in_compat_only() -> None:
    wrong = [
        f"{module}:{line}: {touch}"
        for module, tree in modules()
        if layer(module) != "_compat"
        for line, touch in private_parts(tree)
        if touch not in NOT_PRIVATE
    ]
    assert not wrong, "move these into layercode_app/_compat/, with a fallback and a test:\n" + "\n".join(wrong)


def test_private_methods_of_libraries_are_overridden_in_compat_only() -> None:
    wrong = [
        f"{kind.__module__}.{kind.__name__} overrides {name}"
        for module, _ in modules()
        if module not in ("__main__.py", "testing/plugin.py") and layer(module) != "_compat"
        for kind in vars(importlib.import_module(dotted(module))).values()
        if isinstance(kind, type) and kind.__module__ == dotted(module)
        for name in inherited_parts(kind)
    ]
    assert not wrong, "\n".join(wrong)


def dotted(module: str) -> str:
    """The name under which a path inside the package is imported."""
    return f"{NAME}.{module.removesuffix('.py').replace('/', '.')}".removesuffix(".__init__")


def test_an_overridden_private_method_is_found() -> None:
    own = {"_get_upgrade": lambda self: None, "_own": 1, "__module__": "layercode_app.server.x"}
    assert list(inherited_parts(type("Own", (HttpToolsProtocol,), own))) == ["_get_upgrade"]


@pytest.mark.parametrize(
    "source",
    [
        "from lib._private import part",
        "from lib import _part",
        "import lib._private",
        "lib.thing._part",
        "thing._part = 1",
        "getattr(thing, '_part', None)",
        "hasattr(self.inner, '_part')",
        "setattr(thing, '_part', 1)",
        "event.__pydantic_serializer__",
        "class A:\n    def f(self):\n        return self.inner._part",
    ],
)
def test_no_touch_of_a_private_part_is_overlooked(source: str) -> None:
    assert len(list(private_parts(ast.parse(source)))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "from __future__ import annotations",
        "from .._version import __version__",
        "type(x).__name__",
        "class A:\n    def f(self):\n        return self._part",
        "class A:\n    def f(self):\n        super()._part()",
        "class A:\n    _part = 1\nA()._part",
        "class A:\n    def __init__(self):\n        self._part = 1\ndef f(a):\n    return a._part",
    ],
)
def test_own_parts_are_no_private_parts_of_a_library(source: str) -> None:
    assert list(private_parts(ast.parse(source))) == []


def test_settings_alone_read_the_environment() -> None:
    readers = {module for module, tree in modules() if _touches_environment(tree)}
    assert readers == ENVIRONMENT.keys() & {module for module, _ in modules()}


@pytest.mark.parametrize(
    ("source", "target", "top"),
    [
        ("from ..agent import runner", "layercode_app.agent.runner", True),
        ("from .. import agent", "layercode_app.agent", True),
        ("from layercode_app import agent", "layercode_app.agent", True),
        ("import layercode_app.agent.runner", "layercode_app.agent.runner", True),
        ("from .events import Event", "layercode_app.webhook.events.Event", True),
        ("import starlette.types", "starlette.types", True),
        ("from starlette.types import Scope", "starlette.types", True),
        ("def f():\n    import logfire", "logfire", False),
        ("async def f():\n    from logfire import info", "logfire", False),
        ("if TYPE_CHECKING:\n    import logfire", "logfire", False),
        ("if typing.TYPE_CHECKING:\n    import logfire", "logfire", False),
        ("try:\n    import logfire\nexcept ImportError: ...", "logfire", True),
        ("class A:\n    import logfire", "logfire", True),
    ],
)
def test_no_form_of_import_is_overlooked(source: str, target: str, top: bool) -> None:
    assert list(imports_of("webhook/x.py", ast.parse(source))) == [
        Import("webhook/x.py", source.count("\n", 0, source.index("import")) + 1, target, top)
    ]


@pytest.mark.parametrize(
    "source", ["os.environ['A']", "import os; os.getenv('A')", "from os import environ", "os.environ.get"]
)
def test_no_form_of_reading_the_environment_is_overlooked(source: str) -> None:
    assert _touches_environment(ast.parse(source))

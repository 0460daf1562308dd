"""Write the pages of the Python API from the source's docstrings and signatures, without importing it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import griffe

import layercode_app

from ..markdown import block, code, escaped, table

INTRODUCTIONS = {
    "layercode_app": "# Python API\n\nEverything here is imported from `layercode_app`.\n",
    "layercode_app.collect": "# Python API: collectors\n\nEverything here is imported from `layercode_app.collect`; see "
    "[Collectors](../collectors.md).\n",
    "layercode_app.testing": "# Python API: test kit\n\nEverything here is imported from `layercode_app.testing`; see "
    "[Testing an agent](../testing.md).\n",
}
"""The public packages, each with the beginning of its page."""


def package_page() -> str:
    """Return the page about the public names of `layercode_app`."""
    return _page("layercode_app")


def collect_page() -> str:
    """Return the page about `layercode_app.collect`, the package of collectors."""
    return _page("layercode_app.collect")


def testing_page() -> str:
    """Return the page about `layercode_app.testing`, the test kit."""
    return _page("layercode_app.testing")


@cache
def _package() -> Any:
    place = Path(layercode_app.__file__).parents[1]
    return griffe.load("layercode_app", search_paths=[place], resolve_aliases=True)


def public_names(package: str) -> list[str]:
    """Return the names that a package exports."""
    return [str(name) for name in _module(package).exports if not str(name).startswith("__")]


def _module(package: str) -> Any:
    below = package.partition(".")[2]
    return _package()[below] if below else _package()


def _page(package: str) -> str:
    module = _module(package)
    return "\n".join([INTRODUCTIONS[package], *(_section(name, module[name]) for name in public_names(package))])


def _section(name: str, found: Any) -> str:
    found = found.final_target if found.is_alias else found
    parts = [f"## {name}\n"]
    if found.is_function:
        parts.append(block(_signature(name, found), "python"))
    if found.is_class:
        parts.append(block(_constructor(name, found), "python"))
    parts.append(_text(found))
    if found.is_attribute and found.value is not None:
        parts.append(block(f"{name} = {found.value}", "python"))
    if found.is_class or found.is_module:
        parts += _members(found)
    return "\n".join(parts)


def _text(found: Any) -> str:
    return _prose(found.docstring.value if found.docstring else "") + "\n"


def _prose(text: str) -> str:
    """Return a docstring as Markdown. Indented code stays as it is; elsewhere `<` is escaped."""
    return "\n".join(line if line.startswith("    ") else escaped(line) for line in inspect.cleandoc(text).splitlines())


def _members(found: Any) -> Iterator[str]:
    public = [one for name, one in _inherited(found).items() if not name.startswith("_")]
    attributes = [one for one in public if one.is_attribute and one.docstring]
    if attributes:
        yield table(("attribute", "meaning"), ((code(one.name), _prose(one.docstring.value)) for one in attributes))
    for one in public:
        if one.is_function and one.docstring:
            yield f"### {found.name}.{one.name}\n"
            yield block(_signature(one.name, one), "python")
            yield _text(one)


def _inherited(found: Any) -> dict[str, Any]:
    """Return the members of a class and of its base classes in this package."""
    members: dict[str, Any] = {}
    for base in [*reversed(found.mro() if found.is_class else []), found]:
        members |= {name: one for name, one in base.members.items() if not one.is_alias}
    return members


def _constructor(name: str, found: Any) -> str:
    bases = ", ".join(str(base) for base in found.bases)
    made = _inherited(found).get("__init__")
    head = f"class {name}({bases})" if bases else f"class {name}"
    return head if made is None else f"{head}\n\n{_signature(name, made)}"


def _signature(name: str, found: Any) -> str:
    """Return a signature, with one parameter per line if it is long."""
    shown = list(_parameters(found))
    returned = f" -> {found.returns}" if found.returns is not None and found.name != "__init__" else ""
    short = f"{name}({', '.join(shown)}){returned}"
    if len(short) <= 90:
        return short
    lines = "".join(f"    {one},\n" for one in shown)
    return f"{name}(\n{lines}){returned}"


def _parameters(found: Any) -> Iterator[str]:
    starred = False
    for one in found.parameters:
        kind = one.kind.name
        if one.name in ("self", "cls"):
            continue
        if kind == "keyword_only" and not starred:
            starred = True
            yield "*"
        starred = starred or kind == "var_positional"
        mark = {"var_positional": "*", "var_keyword": "**"}.get(kind, "")
        typed = f": {one.annotation}" if one.annotation is not None else ""
        default = f" = {one.default}" if one.default is not None and not mark else ""
        yield f"{mark}{one.name}{typed}{default}"

"""Write a type as source code, and collect the imports that it needs."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

ANY = "Any"


class Imports:
    """The imports of a generated file. A name that is already in use gets an alias: `import Turn as OwnTurn`."""

    def __init__(self, taken: set[str]) -> None:
        self._taken = {name: ("", name) for name in taken}
        self._lines: defaultdict[str, set[str]] = defaultdict(set)

    def use(self, module: str, name: str) -> str:
        """Add `name` of `module` to the imports. Return the name to use in the file, which may be an alias."""
        local = name
        while self._taken.setdefault(local, (module, name)) != (module, name):
            local = f"Own{local}" if local[0].isupper() else f"own_{local}"
        self._lines[module].add(name if local == name else f"{name} as {local}")
        return local

    def lines(self, *, library: bool) -> list[str]:
        """Return the import lines for the standard library if `library` is true, else those for all other packages."""
        found = {name: names for name, names in self._lines.items() if _is_standard(name) is library}
        return [f"from {module} import {', '.join(sorted(found[module]))}" for module in sorted(found)]

    def source_of(self, kind: Any) -> str:
        """Return a type as an expression; `Any` if it cannot be imported."""
        if kind in (None, NoneType):
            return "None"
        origin, args = get_origin(kind), get_args(kind)
        if origin is Annotated:
            return self.source_of(args[0])
        if origin in (Union, UnionType):
            return " | ".join(dict.fromkeys(map(self.source_of, args)))
        if origin is Literal and all(isinstance(one, str | int) and not isinstance(one, Enum) for one in args):
            return f"{self.use('typing', 'Literal')}[{', '.join(map(literal, args))}]"
        if isinstance(origin, type) and args:
            inner = ["..." if one is Ellipsis else self.source_of(one) for one in args]
            return f"{self.source_of(origin)}[{', '.join(inner)}]"
        return self._class(kind)

    def _class(self, kind: Any) -> str:
        module, _, rest = getattr(kind, "__module__", ""), 0, getattr(kind, "__qualname__", "")
        if not isinstance(kind, type) or not _can_import(module, rest, kind):
            return self.use("typing", ANY)
        head, dot, tail = rest.partition(".")
        return rest if module == "builtins" else f"{self.use(module, head)}{dot}{tail}"


def literal(value: Any) -> str:
    """Return a JSON value as Python source, with the quotes that formatters write."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(name)}: {literal(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    # Formatters prefer double quotes. For a text that contains double quotes, they write what `repr` returns.
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) and '"' not in value else repr(value)


def _can_import(module: str, qualname: str, kind: Any) -> bool:
    found: Any = sys.modules.get(module)
    for name in qualname.split("."):
        found = getattr(found, name, None)
    return found is kind


def _is_standard(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names

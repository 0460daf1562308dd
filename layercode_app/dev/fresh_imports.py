"""Import the project's own modules again, so that a changed helper module is used after a reload."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from ..agent.discovery import PRIVATE_PACKAGE
from ..observability.privacy.masking import is_library


class FreshImports:
    """The modules of some folders, which are removed from `sys.modules` so that Python imports them again."""

    def __init__(self, folders: Collection[Path]) -> None:
        self._removed = {name: module for name, module in list(sys.modules.items()) if _is_in(folders, name, module)}
        for name, module in self._removed.items():
            del sys.modules[name]
            parent, child = _parent(name)
            # `from package import module` would find this attribute, and not import the module.
            if parent.get(child) is module:
                del parent[child]
        importlib.invalidate_caches()

    def put_back(self, *, replace: bool = False) -> None:
        """Restore the removed modules in `sys.modules`, except those that were imported again.

        If an agent file failed to load, its old agent is still in use, and may need these modules. With `replace`, also
        restore the modules that were imported again, in place of their new versions.
        """
        back = {name: module for name, module in self._removed.items() if replace or name not in sys.modules}
        sys.modules.update(back)
        for name, module in back.items():
            parent, child = _parent(name)
            parent[child] = module


@contextmanager
def fresh_imports(folders: Collection[Path]) -> Iterator[FreshImports]:
    """Make the next import of each module in these folders load the module again.

    If the `with` block raises an exception, put all the old modules back.
    """
    fresh = FreshImports(folders)
    try:
        yield fresh
    except BaseException:
        fresh.put_back(replace=True)
        raise


def _is_in(folders: Collection[Path], name: str, module: object) -> bool:
    """Return whether a module is in one of these folders. Libraries, this package and the main program are in none."""
    ours = name.partition(".")[0] == __package__.partition(".")[0] and not name.startswith(PRIVATE_PACKAGE)
    # Some objects in `sys.modules` only claim to be modules; `isinstance` believes them.
    if ours or module is sys.modules["__main__"] or not issubclass(type(module), ModuleType):
        return False
    places = _places(module)
    return bool(places) and not any(map(is_library, places)) and all(_is_below(folders, place) for place in places)


def _places(module: object) -> list[str]:
    """Return the Python file of a module, or the folders of a namespace package. Compiled modules have no place."""
    # Reading an attribute in the usual way would import a module that is imported lazily.
    names = object.__getattribute__(module, "__dict__")
    file = names.get("__file__")
    if file is None:
        return [str(folder) for folder in names.get("__path__") or ()]
    return [file] if isinstance(file, str) and file.endswith(".py") else []


def _is_below(folders: Collection[Path], place: str) -> bool:
    return any(Path(os.path.realpath(place)).is_relative_to(folder) for folder in folders)


def _parent(name: str) -> tuple[dict[str, object], str]:
    """Return the namespace of a module's parent package, and the module's name in it.

    The namespace is an empty dictionary if the parent package is not imported, or if there is none.
    """
    parent, _, child = name.rpartition(".")
    return (vars(sys.modules[parent]) if parent in sys.modules else {}), child

"""Run a command in this process. A thread writes every few seconds what the process keeps in memory.

    python -m benchmarks.sampled SAMPLES.jsonl SECONDS run --agent echo …

A sample has the memory, the numbers of files, threads and tasks, and the names and sizes of all caches and containers
in the package's modules and objects. Objects are found through references, even if the garbage collector does not track
them.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

import psutil

PACKAGE = "layercode_app"
CONTAINERS = (dict, list, set, deque, WeakKeyDictionary, WeakSet, WeakValueDictionary)
MOST_INSIDE = 200
"""Maximum members of a container that are searched for further containers. All members are counted."""
_roots: list[Any] = []


def held(roots: Iterable[Any]) -> Counter[str]:
    """Return the sizes of the containers that can be reached from the roots and from this package's modules.

    A key has the form `HOLDER.ATTRIBUTE`; the holder is the class or module to which the container belongs. The
    sizes of containers with the same key are added up.
    """
    found: Counter[str] = Counter()
    seen: set[int] = set()
    waiting = [*roots, *_modules()]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        for name, value in _named(thing):
            if isinstance(value, CONTAINERS):
                found[name] += len(value)
                waiting += _inside(value)
            elif isinstance(value, int) and name.endswith((".size", "._size")):
                found[name] += value  # a cache with a limit in bytes
            elif callable(getattr(value, "cache_info", None)):
                found[name] += value.cache_info().currsize
            elif _is_ours(value):
                waiting.append(value)
    return found


def _modules() -> Iterator[Any]:
    yield from (module for name, module in list(sys.modules.items()) if name.startswith(f"{PACKAGE}."))


def _named(thing: Any) -> Iterator[tuple[str, Any]]:
    kind = type(thing)
    label = thing.__name__.removeprefix(f"{PACKAGE}.") if kind is type(sys) else kind.__name__
    own = list(getattr(thing, "__dict__", {}).items())
    slots = [slot for one in kind.__mro__ for slot in getattr(one, "__slots__", ()) if hasattr(thing, slot)]
    for name, value in [*own, *((slot, getattr(thing, slot)) for slot in slots)]:
        if not name.startswith("__"):
            yield f"{label}.{name}", value


def _inside(container: Any) -> Iterator[Any]:
    try:
        members = list(container.values() if hasattr(container, "values") else container)
    except RuntimeError:
        return  # it changed during the read; the next sample reads it again
    yield from (member for member in members[:MOST_INSIDE] if _is_ours(member))


def _is_ours(value: Any) -> bool:
    return type(value).__module__.startswith(PACKAGE) and not isinstance(value, type)


def sample(loop: asyncio.AbstractEventLoop | None) -> dict[str, Any]:
    """Return what this process holds now: memory, open files, threads, tasks of the loop, and sizes of containers."""
    process = psutil.Process()
    return {
        "at": time.time(),
        "memory_mb": process.memory_info().rss / 1e6,
        "files": process.num_fds(),
        "threads": process.num_threads(),
        "tasks": len(asyncio.all_tasks(loop)) if loop is not None else 0,
        "held": dict(held(_roots)),
    }


def _watch(path: Path, seconds: float) -> None:
    with path.open("w") as file:
        while True:
            time.sleep(seconds)
            loop = next((root.loop for root in _roots), None)
            file.write(json.dumps(sample(loop)) + "\n")
            file.flush()


def main(path: str, seconds: str, *words: str) -> None:
    """Run the command `words`, such as `run --agent echo`, in this process.

    Meanwhile, a thread appends the result of `sample` to the file `path`, once every `seconds` seconds.
    """
    from layercode_app.cli.main import main as run
    from layercode_app.server.app import LayerCode

    start = LayerCode.start

    async def started(app: Any) -> None:
        await start(app)
        app.loop = asyncio.get_running_loop()
        _roots.append(app)

    LayerCode.start = started  # type: ignore[method-assign, assignment]
    threading.Thread(target=_watch, args=(Path(path), float(seconds)), name="samples", daemon=True).start()
    sys.argv[1:] = words
    run()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Configure Loguru: a console for people, rotating JSON files for machines, and the turn's ids on every line.

`run`, `dev` and similar commands do this once per process. An embedded app does not change the host's logging. It does
not log each turn and request; `logger.enable("layercode_app")` adds these lines.
"""

from __future__ import annotations

import atexit
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from loguru import logger

from .._compat import loguru as private
from . import console, context
from .intercept import intercept, intercepted
from .json_lines import Files, JsonSink, Output, Stdout
from .log_files import parse_retention, parse_rotation
from .pipes import STDERR, STDOUT

if TYPE_CHECKING:
    from loguru import Record

OPTIONS: Any = {"backtrace": False, "diagnose": False}

CHATTY = ("layercode_app.observability.turns", "layercode_app.server.requests")
"""Modules that log a line for each turn or request. In an embedded app they are off until the host enables them."""

for _module in CHATTY:
    logger.disable(_module)

_alone: dict[int, JsonSink] = {}
"""Maps a handler's number to its JSON sink. Empty if lines also go to the console, or if the level is above INFO."""


@dataclass
class _Handler:
    """A Loguru handler that was added here, and the function that adds it again."""

    add: Callable[[], int]
    number: int


_handlers: list[_Handler] = []
_level = ["INFO"]
"""The level that the last call of `configure` set."""


def check(*, rotation: str, retention: str) -> None:
    """Raise ConfigurationError if the rotation or the retention cannot be parsed."""
    parse_rotation(rotation)
    parse_retention(retention)


def configure(
    *,
    level: str = "INFO",
    log_dir: str = "logs",
    log_format: str = "console",
    rotation: str = "500 MB",
    retention: str = "10 days",
    per_agent: bool = False,
    brief: bool = False,
    full: bool = False,
    quiet: bool = False,
    common: dict[str, str] | None = None,
) -> None:
    """Send all log lines of the process to the sinks, including lines of the standard library and uvicorn.

    `common` is added to every JSON line: service, version, environment. `brief` is for a developer's terminal: it shows
    an agent's error with its text and the frames of the agent's files, while the log files hide the text. `full` also
    shows the other frames. `quiet` is for a terminal with a conversation: it shows only warnings and errors. Raises
    ConfigurationError.
    """
    shown = max(level, "WARNING", key=lambda name: logger.level(name).no) if quiet else level
    check(rotation=rotation, retention=retention)
    flush()
    for pipe in (STDOUT, STDERR):
        pipe.open()
    logger.remove()
    logger.enable("layercode_app")
    logger.configure(patcher=_patch)
    _alone.clear()
    _handlers.clear()
    outputs: list[Output] = []
    if log_format == "json":
        outputs.append(Stdout())
        level = shown
    else:
        keep(partial(console.add, level=shown, brief=brief, full=full, **OPTIONS))
    if log_dir:
        outputs.append(Files(Path(log_dir), rotation=rotation, retention=retention, per_agent=per_agent))
    if outputs:
        alone = log_format == "json" and logger.level(level).no <= logger.level("INFO").no
        keep(partial(_add_json, JsonSink(outputs, common or {}), level, alone))
    _level[:] = [level]
    intercept(level)


def _add_json(sink: JsonSink, level: str, alone: bool) -> int:
    number = logger.add(sink, level=level, format=lambda record: "", **OPTIONS)
    _alone.clear()
    if alone:
        _alone[number] = sink
    return number


def flush() -> None:
    """Write all queued log lines now: those of turns, and those that wait for the reader of a pipe."""
    for sink in list(_alone.values()):
        sink.flush()
    for pipe in (STDOUT, STDERR):
        pipe.flush()


atexit.register(flush)


def keep(add: Callable[[], int]) -> None:
    """Add a handler to Loguru. If other code removes the handler, `restore` adds it again."""
    _handlers.append(_Handler(add, add()))


def restore() -> bool:
    """Restore the handlers and hooks of this module if other code has removed them. Return whether any was missing."""
    if not _handlers:
        return False
    missing = False
    for handler in _handlers:
        removed, handler.number = private.added_again(handler.number, handler.add)
        missing = missing or removed
    patched, heard = private.patcher(missing=_patch) is _patch, intercepted()
    if private.patcher() is not _patch:
        logger.configure(patcher=_patch)
    if not heard:
        intercept(_level[0])
    return missing or not patched or not heard


def _patch(record: Record) -> None:
    """Add the turn's ids to a record. Flatten the standard library's `extra={...}`, because Loguru would nest it.

    If an agent has bound a value to the name of one of these ids, the value is renamed, so that it does not replace the
    turn's id in the line.
    """
    extra = record["extra"]
    nested = extra.pop("extra", None)
    if isinstance(nested, dict):
        extra.update(nested)
    for name, value in context.ids().items():
        if extra.setdefault(name, value) != value:
            extra[f"{name}_"], extra[name] = extra[name], value


def write_turn(message: str, fields: dict[str, Any], foreign: str) -> None:
    """Write the canonical log line of a turn at INFO.

    `foreign` repeats the values in `fields` that did not originate in this package, such as a model's name. They are
    checked for secrets.
    """
    # If JSON lines are the only output, as in production, skip Loguru: its record would cost more than the rest of the
    # line. If there is any other output, even one that other code added, Loguru must write to it.
    if _alone and (private.handlers() or {}).keys() == _alone.keys() and private.patcher() is _patch:
        for sink in _alone.values():
            sink.write_plain(message, fields, foreign, _where(sys._getframe(1)))
    else:
        logger.opt(depth=1).bind(**fields).info("{}", message)


def _where(caller: FrameType) -> tuple[str, int]:
    """Return a frame's module and line. Looking up the line is slow, so it is cached for each bytecode instruction."""
    code = caller.f_code
    place = (code.co_filename, code.co_firstlineno, caller.f_lasti)
    known = _places.get(place)
    if known is None:
        known = _places[place] = (caller.f_globals["__name__"], caller.f_lineno)
    return known


_places: dict[tuple[str, int, int], tuple[str, int]] = {}

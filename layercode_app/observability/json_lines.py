"""Log lines for machines: JSON, one object each, to stdout or to files that rotate."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

from . import context, redaction
from .console import OWN
from .log_files import RotatingFile
from .outages import LogOutage

if TYPE_CHECKING:
    from loguru import Message, Record

NAME = "layercode-app"
"""How the names of log files begin: `layercode-app.PID.log`."""
Output: TypeAlias = Callable[[Any, bytes], None]
"""Takes the agent that a line belongs to, if any, and the line."""


class JsonSink:
    """Makes the line once, cleans it once, and hands it to each output; `common` is on every line."""

    def __init__(self, outputs: Sequence[Output], common: Mapping[str, str]) -> None:
        self._outputs = outputs
        self._common = dict(common)
        # Loguru holds a lock of its own, which the short way does not know.
        self._lock = threading.Lock()

    def __call__(self, message: Message) -> None:
        """A line that Loguru made."""
        record = message.record
        self._write(record["extra"].get("agent"), redaction.clean(dump_line(record, self._common)))

    def write_plain(self, message: str, fields: dict[str, Any], frame: FrameType) -> None:
        """A line at INFO that never was a record of Loguru's, with the same content."""
        told = {"message": message, **self._common, **fields, **context.ids()}
        begin = {"time": datetime.now().astimezone().isoformat(), "level": "INFO", "message": message}
        text = _dump({**begin, "logger": frame.f_globals["__name__"], "line": frame.f_lineno, **told})
        # Only words can hold what must not be shown, and they are a fraction of the line.
        words = "\n".join([value for value in told.values() if type(value) is str])
        plain = "headers" not in told and redaction.is_clean(words)
        self._write(told.get("agent"), text if plain else redaction.clean(text))

    def _write(self, agent: Any, text: str) -> None:
        line = text.encode() + b"\n"
        with self._lock:
            for output in self._outputs:
                output(agent, line)


class Stdout:
    """JSON lines on stdout, for a container; a reader that is gone is an outage like any other."""

    def __init__(self) -> None:
        self._outage = LogOutage("stdout")

    def __call__(self, agent: Any, line: bytes) -> None:
        """Write a line, at once."""
        try:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
        except (OSError, ValueError) as error:
            self._outage.failed(type(error).__name__)
        else:
            self._outage.worked()


class Files:
    """The file of this worker, and one per agent in a folder of its own where that is asked for."""

    def __init__(self, folder: Path, *, rotation: str, retention: str, per_agent: bool) -> None:
        self._folder = folder
        self._rules = {"rotation": rotation, "retention": retention}
        self._all = RotatingFile(folder, NAME, **self._rules)
        self._agents: dict[str, RotatingFile] | None = {} if per_agent else None

    def __call__(self, agent: Any, line: bytes) -> None:
        """Write a line; it is in its file when this returns."""
        self._all.write(line)
        if self._agents is not None and isinstance(agent, str) and agent:
            self._file_of(agent).write(line)

    def _file_of(self, agent: str) -> RotatingFile:
        assert self._agents is not None
        if agent not in self._agents:
            plain = "".join(c if c.isalnum() or c in "-_" else "-" for c in agent)[:64]
            self._agents[agent] = RotatingFile(self._folder / plain, plain, **self._rules)
        return self._agents[agent]


def dump_line(record: Record, common: Mapping[str, str]) -> str:
    """One line of JSON: time, level, message, where, the bound values, and the exception if there is one."""
    line: dict[str, Any] = {
        "time": record["time"].isoformat(),
        "level": record["level"].name,
        "message": record["message"],
        "logger": record["name"],
        "line": record["line"],
        **common,
    }
    line.update((key, value) for key, value in record["extra"].items() if key not in OWN)
    exception = record["exception"]
    if exception is not None:
        name = getattr(exception.type, "__name__", "")
        line["exception"] = {"type": name, "traceback": _describe(exception)}
    return _dump(line)


def _dump(line: dict[str, Any]) -> str:
    try:
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        # A lone surrogate, or an integer of over 64 bits.
        return json.dumps({str(key): value for key, value in line.items()}, default=str, skipkeys=True)


def _describe(exception: Any) -> str:
    return redaction.describe(exception.value, exception.traceback) if exception.value is not None else ""

"""Write log lines as JSON objects, one object a line, to stdout or to rotating files."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

from ..wellformed import dump_json, text_of
from . import context
from .console import OWN
from .log_files import RotatingFile
from .outages import LogOutage
from .pipes import STDOUT
from .privacy import masking
from .privacy.masked_values import masked

if TYPE_CHECKING:
    from loguru import Message, Record

NAME = "layercode-app"
"""Prefix of the names of log files: `layercode-app.PID.log`."""
Output: TypeAlias = Callable[[Any, bytes], None]
"""A function that writes lines. The first argument is the agent of the lines, or None; the second is the lines."""
_AGENT = itemgetter(0)


class JsonSink:
    """Encodes and masks each line once, and passes it to every output. Every line contains the fields of `common`."""

    def __init__(self, outputs: Sequence[Output], common: Mapping[str, str]) -> None:
        self._outputs = outputs
        self._common = {name: masking.clean(value) for name, value in common.items()}
        self._clock = Clock()
        self._places: dict[tuple[str, int], bytes] = {}
        # Loguru's own lock does not cover `write_plain`.
        self._lock = threading.Lock()
        self._waiting: list[tuple[Any, bytes]] = []
        """The lines of turns that ended in this iteration of the event loop, with their agents."""

    def __call__(self, message: Message) -> None:
        """Write a Loguru message."""
        record = message.record
        self._write(record["extra"].get("agent"), _masked(line_of(record, self._common)) + b"\n")

    def write_plain(self, message: str, fields: dict[str, Any], foreign: str, where: tuple[str, int]) -> None:
        """Write a line at INFO with the usual content. No Loguru record is created, because that is slow.

        In an event loop, the lines of one iteration are written together, with one system call for consecutive lines of
        an agent. Turns that are saved in one transaction end in the same iteration. A system call for the line of each
        turn would double the cost of logging.

        `foreign` repeats those values of `fields` that come from elsewhere, such as a model's name. Only these values
        and the ids need to be checked for secrets and phone numbers.
        """
        ids = context.ids()
        begin = _dump({"time": self._clock.now(), "level": "INFO", "message": message})
        own = {**fields, **ids}
        end = _dump(own) if masking.is_clean(*_checked(ids, foreign)) else _dump(masked(own))
        line = b",".join((begin[:-1], self._same(where), end[1:]))
        self._write_soon(ids.get("agent"), line + b"\n")

    def _same(self, where: tuple[str, int]) -> bytes:
        """Return the JSON, without braces, that all log lines from one place in the code have in common."""
        known = self._places.get(where)
        if known is None:
            logger, number = where
            known = self._places[where] = _dump({"logger": logger, "line": number, **self._common})[1:-1]
        return known

    def _write_soon(self, agent: Any, line: bytes) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._write(agent, line)
            return
        with self._lock:
            self._waiting.append((agent, line))
            if len(self._waiting) == 1:
                loop.call_soon(self.flush)

    def _write(self, agent: Any, line: bytes) -> None:
        with self._lock:
            self._waiting.append((agent, line))
            self._flush()

    def flush(self) -> None:
        """Write the waiting lines."""
        with self._lock:
            self._flush()

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for agent, lines in groupby(waiting, _AGENT):
            together = b"".join([line for _, line in lines])
            for output in self._outputs:
                output(agent, together)


def _masked(line: dict[str, Any]) -> bytes:
    """Mask the values of a line, then encode it. The encoded text itself is not masked, so that it stays valid JSON."""
    encoded = _dump(line)
    text = encoded.decode()
    return encoded if masking.clean(text) == text else _dump(masked(line))


def _checked(ids: Mapping[str, str], foreign: str) -> tuple[str, str]:
    """Return two texts to check for secrets.

    The first contains the ids that only this turn has. The second contains values that other turns also have, so the
    result of its check can be cached.
    """
    own = "\n".join([ids.get("turn_id", ""), ids.get("trace_id", ""), ids.get("span_id", "")])
    shared = [ids.get("conversation_id", ""), ids.get("session_id", ""), ids.get("agent", ""), foreign]
    return own, "\n".join(shared)


class Clock:
    """The local time as text. All but the microseconds is cached for a second, because formatting it is slow."""

    def __init__(self) -> None:
        self._second = (-1, "", "")

    def now(self) -> str:
        """Return the time in ISO format, to the microsecond, with the offset from UTC."""
        nanoseconds = time.time_ns()
        second, rest = divmod(nanoseconds, 1_000_000_000)
        known, begin, offset = self._second
        if known != second:
            moment = datetime.fromtimestamp(second).astimezone().isoformat()
            begin, offset = moment[:19], moment[19:]
            # Set all three at once, because several threads may call this.
            self._second = (second, begin, offset)
        return f"{begin}.{rest // 1000:06d}{offset}"


class Stdout:
    """Writes JSON lines to stdout, for a container. A closed pipe is reported as an outage."""

    def __init__(self) -> None:
        self._outage = LogOutage("stdout")
        STDOUT.failed, STDOUT.worked = self._outage.failed, self._outage.worked

    def __call__(self, agent: Any, lines: bytes) -> None:
        """Write the lines and flush them. Lines for a pipe are queued instead."""
        if STDOUT.write(lines):
            return
        try:
            sys.stdout.buffer.write(lines)
            sys.stdout.buffer.flush()
        except (OSError, ValueError) as error:
            self._outage.failed(type(error).__name__)
        else:
            self._outage.worked()


class Files:
    """The log file of this worker. With `per_agent`, also one file per agent, each in a separate folder."""

    def __init__(self, folder: Path, *, rotation: str, retention: str, per_agent: bool) -> None:
        self._folder = folder.absolute()  # a hook or tool may change the working directory
        self._rules = {"rotation": rotation, "retention": retention}
        self._all = RotatingFile(self._folder, NAME, **self._rules)
        self._agents: dict[str, RotatingFile] | None = {} if per_agent else None

    def __call__(self, agent: Any, lines: bytes) -> None:
        """Write the lines at once, without buffering."""
        self._all.write(lines)
        if self._agents is not None and isinstance(agent, str) and agent:
            self._file_of(agent).write(lines)

    def _file_of(self, agent: str) -> RotatingFile:
        assert self._agents is not None
        if agent not in self._agents:
            plain = "".join(c if c.isalnum() or c in "-_" else "-" for c in agent)[:64]
            self._agents[agent] = RotatingFile(self._folder / plain, plain, **self._rules)
        return self._agents[agent]


def line_of(record: Record, common: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of a line: time, level, message, place in the code, bound values, and any exception."""
    line: dict[str, Any] = {
        "time": record["time"].isoformat(),
        "level": record["level"].name,
        "message": record["message"],
        "logger": record["name"],
        "line": record["line"],
        **common,
    }
    taken = {*line, "exception"}
    for key, value in record["extra"].items():
        if key not in OWN:
            # If an agent binds a value to the name of a standard field, such as `time`, rename the agent's value.
            line[f"{key}_" if key in taken else key] = value
    exception = record["exception"]
    if exception is not None:
        name = getattr(exception.type, "__name__", "")
        line["exception"] = {"type": name, "traceback": _describe(exception)}
    return line


def _dump(line: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(line, default=text_of)
    except TypeError:
        return _dump_unusual(line)


def _dump_unusual(line: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(line, default=text_of, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        return dump_json(line)


def _describe(exception: Any) -> str:
    return masking.describe(exception.value, exception.traceback) if exception.value is not None else ""

"""The limit of open files of this process. Each connection, and each file, takes one file descriptor.

If none is left, the event loop closes each new connection without a word in the log, and callers hear silence.
"""

from __future__ import annotations

import resource
import time
from contextlib import suppress

from loguru import logger

PER_TURN = 2
"""A turn needs a connection to the platform or its proxy, and usually one to the model."""
SPARE = 100
"""For the journal, the logs, the modules and the exporters."""
MACOS_LIMIT = 10_240
"""macOS refuses a higher limit, even if the hard limit is unlimited."""
NEARLY_ALL = 0.9
WARN_SECONDS = 60.0


def raise_limit(max_turns: int) -> None:
    """Raise the soft limit of open files to the hard limit. Log a warning if `max_turns` turns still do not fit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (MACOS_LIMIT, hard):
        if _number(limit) > _soft_limit():
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    if (most := _soft_limit()) < SPARE + PER_TURN * max_turns:
        logger.warning(
            "This process may open only {} files, too few for LAYERCODE_MAX_TURNS={}. Raise the hard limit (`ulimit -n`, "
            "or LimitNOFILE in systemd), or set LAYERCODE_MAX_TURNS={}.",
            most,
            max_turns,
            max(1, int(most - SPARE) // PER_TURN),
        )


def _soft_limit() -> float:
    return _number(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _number(limit: int) -> float:
    return float("inf") if limit == resource.RLIM_INFINITY else limit


class Descriptors:
    """Warns when nearly all file descriptors of this process are in use."""

    def __init__(self) -> None:
        self._warned_at = float("-inf")

    def note(self, newest: int) -> None:
        """Take the number of a new descriptor, which tells how many are in use: the system gives the lowest free one."""
        limit, now = _soft_limit(), time.monotonic()
        if newest < limit * NEARLY_ALL or now - self._warned_at < WARN_SECONDS:
            return
        self._warned_at = now
        logger.warning(
            "This process has opened nearly all of the {} files that it may open. When none is left, callers hear silence. "
            "Raise the limit (`ulimit -n`, or LimitNOFILE in systemd), lower LAYERCODE_MAX_TURNS, or add workers.",
            limit,
        )

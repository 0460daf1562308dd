"""Ports for servers that a test starts in another process."""

from __future__ import annotations

import os
import socket
from itertools import count

FIRST, LAST = 10_000, 32_000
"""Below those the system hands out itself: no connection that a test opens can take one before its server does."""

# Test workers run at once and have neighbouring process ids, so each begins far from the others.
_next = count(os.getpid() * 997)


def free_port() -> int:
    """A port of 127.0.0.1 where nothing listens, which this process has not given before."""
    while True:
        port = FIRST + next(_next) % (LAST - FIRST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port

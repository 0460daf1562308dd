"""Ports for servers that a test starts in another process."""

from __future__ import annotations

import os
import socket
from itertools import count

FIRST, LAST = 10_000, 32_000
"""The range of the ports for servers.

The system takes the local ports of connections from a higher range. So a connection of a test cannot take a server's
port before the server starts.
"""

# Test workers run at once, and their process ids are close together. The factor moves their first ports far apart.
_next = count(os.getpid() * 997)


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens. Later calls in this process return other ports."""
    while True:
        port = FIRST + next(_next) % (LAST - FIRST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port

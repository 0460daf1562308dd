"""Find, check and bind the port on which a server listens."""

from __future__ import annotations

import errno
import socket

from ..exceptions import ConfigurationError

NEXT_PORTS = 100
"""The number of further ports that are tried if a port is taken."""
LAST_PORT = 65535
BACKLOG = 128
"""The number of connections that may wait until they are accepted."""


def free_port() -> int:
    """Return a TCP port that is free on 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listen(host: str, port: int) -> socket.socket:
    """Bind a TCP socket for a server in this process. Raises ConfigurationError when the port cannot be used."""
    try:
        return _bound(host, port)
    except OSError as error:
        raise _unusable(host, port, error) from error


def listen_from(host: str, port: int) -> socket.socket:
    """Bind a TCP socket to a port and listen on it. If the port is taken, use the next port that is free.

    Raises ConfigurationError if the port cannot be used for another reason, or if none of the next ports is free.
    """
    found = port if _is_free(host, port) else _next_free(host, port)
    listener = listen(host, found or port)
    # From now on, another `dev` that starts at the same time finds the port taken.
    accept_connections(listener)
    return listener


def accept_connections(listener: socket.socket, backlog: int = BACKLOG) -> None:
    """Let the operating system accept connections to a bound socket. The connections wait until a server answers them.

    Raises ConfigurationError, and closes the socket, if another program was faster to listen on the port.
    """
    host, port = listener.getsockname()[:2]
    try:
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise _unusable(host, port, error) from error


def check_port(host: str, port: int) -> None:
    """Raise ConfigurationError, with port, host and reason, if the port cannot be bound.

    Uvicorn's own message would not say what to do.
    """
    listen(host, port).close()


def _bound(host: str, port: int) -> socket.socket:
    # asyncio turns Nagle's algorithm off only if the socket names its protocol. With Nagle's algorithm each streamed
    # answer after the first of a connection would wait 40 ms for a delayed acknowledgement.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def _is_free(host: str, port: int) -> bool:
    """Return True unless another program uses the port. A free port may still be unusable for another reason."""
    try:
        _bound(host, port).close()
    except OSError as error:
        return error.errno != errno.EADDRINUSE
    return True


def _next_free(host: str, port: int) -> int | None:
    later = range(port + 1, min(port + NEXT_PORTS, LAST_PORT) + 1)
    return next((candidate for candidate in later if _is_free(host, candidate)), None)


def _unusable(host: str, port: int, error: OSError) -> ConfigurationError:
    reason = f"Port {port} on {host} cannot be used: {error.strerror}."
    free = _next_free(host, port) if error.errno == errno.EADDRINUSE else None
    if free is None:
        return ConfigurationError(f"{reason} Give another port with --port.")
    return ConfigurationError(f"{reason} Stop the program that listens there, or give another port: --port {free}.")

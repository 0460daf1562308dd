"""Find, check and bind the port on which a server listens."""

from __future__ import annotations

import socket

from ..exceptions import ConfigurationError


def free_port() -> int:
    """Return a TCP port that is free on 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listen(host: str, port: int) -> socket.socket:
    """Bind a TCP socket for a server in this process. Raises ConfigurationError when the port cannot be used."""
    # asyncio turns Nagle's algorithm off only if the socket names its protocol. With Nagle's algorithm each streamed
    # answer after the first of a connection would wait 40 ms for a delayed acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise _in_use(host, port, error) from error
    return listener


def check_port(host: str, port: int) -> None:
    """Raise ConfigurationError, with port, host and reason, if the port cannot be bound.

    Uvicorn's own message would not say what to do.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise _in_use(host, port, error) from error


def _in_use(host: str, port: int, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"Port {port} on {host} cannot be used: {error.strerror}. Give another with --port.")

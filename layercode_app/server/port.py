"""The port that a server listens on."""

from __future__ import annotations

import socket

from ..exceptions import ConfigurationError
from ..settings import Settings


def free_port() -> int:
    """One of 127.0.0.1 that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def check_port(settings: Settings) -> None:
    """Raise ConfigurationError, with the port and who wants it, before uvicorn says only that it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise ConfigurationError(
                f"Port {settings.port} on {settings.host} cannot be used: {error.strerror}. Give another with --port."
            ) from error

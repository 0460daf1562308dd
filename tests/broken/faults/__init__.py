"""The faults: each a server that is right but for one thing."""

from ..server import Server
from . import bodies, events, frames, signatures, turns

__all__ = ["FAULTS", "bodies", "events", "frames", "signatures", "turns"]

FAULTS: list[type[Server]] = Server.__subclasses__()

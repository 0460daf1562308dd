"""All faults: server classes that are correct except for one fault. Each docstring states the rule that is broken."""

from ..server import Server
from . import bodies, events, frames, signatures, turns

__all__ = ["FAULTS", "bodies", "events", "frames", "signatures", "turns"]

FAULTS: list[type[Server]] = Server.__subclasses__()

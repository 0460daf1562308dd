"""A test kit for agents: call an agent in process through real signed requests, and assert on what it said and did.

The package registers a pytest plugin with the fixture `call`:

    @pytest.mark.agent("bakery")
    async def test_it_takes_an_order(call):
        turn = await call.say("Two croissants, please")
        assert Called("add_item", item="croissant") in turn.tools
        assert "croissant" in turn.spoken
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import events
    from .call import AgentCall, open_call
    from .clock import Clock
    from .script import ScriptedModelError, scripted
    from .turn import Called, HeardTurn, ToolCalls

__all__ = [
    "AgentCall",
    "Called",
    "Clock",
    "HeardTurn",
    "ScriptedModelError",
    "ToolCalls",
    "events",
    "open_call",
    "scripted",
]

_HOMES = {
    "call": ("AgentCall", "open_call"),
    "clock": ("Clock",),
    "script": ("ScriptedModelError", "scripted"),
    "turn": ("Called", "HeardTurn", "ToolCalls"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name on first use. Pytest imports this package in every run, so its import must be cheap."""
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module 'layercode_app.testing' has no attribute {name!r}")
    module = import_module(f".{_HOME_OF.get(name, name)}", __name__)
    value = module if name not in _HOME_OF else getattr(module, name)
    globals()[name] = value
    return value

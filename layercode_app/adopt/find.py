"""Find the PydanticAI agent at `package.module:agent`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ..agent.importing import import_module
from ..agent.voice_agent import VoiceAgent
from ..exceptions import AgentNotFoundError, ConfigurationError
from ..nearest import nearest

EXPECTED = "expected package.module:agent, such as shop.support:support"


@dataclass(frozen=True)
class Existing:
    """An existing agent: its module, the name of its variable, and the agent."""

    module: str
    attribute: str
    agent: Any

    @property
    def name(self) -> str:
        """The name for the voice agent: the agent's own name, else the name of its variable or module."""
        last = self.module.rpartition(".")[2]
        name = self.agent.name or (last if self.attribute in ("agent", "AGENT") else self.attribute)
        return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "adopted"


def find_existing(address: str) -> Existing:
    """Return the agent at an address. Without `:agent` the module must have exactly one agent.

    Raises AgentNotFoundError, which lists the module's agents; AgentImportError with the module's own traceback; and
    ConfigurationError if the address is malformed or belongs to a VoiceAgent.
    """
    module_name, _, attribute = address.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), attribute or "_")):
        raise ConfigurationError(f"{address!r} is not the address of an agent; {EXPECTED}.")
    module = import_module(module_name, asked=address)
    agents = _agents_in(module)
    if not attribute and len(agents) == 1:
        (attribute,) = agents
    if isinstance(getattr(module, attribute or "_", None), VoiceAgent):
        raise ConfigurationError(
            f"{address} is a VoiceAgent already. Import it in a file in agents/, or serve it with `run --agent {address}`."
        )
    if attribute not in agents:
        raise AgentNotFoundError(_not_there(module, attribute, agents))
    return Existing(module_name, attribute, agents[attribute])


def _agents_in(module: ModuleType) -> dict[str, Any]:
    from pydantic_ai.agent import AbstractAgent

    return {name: value for name, value in vars(module).items() if isinstance(value, AbstractAgent)}


def _not_there(module: ModuleType, attribute: str, agents: dict[str, Any]) -> str:
    known = ", ".join(f"{module.__name__}:{name}" for name in agents) or "none"
    if not attribute:
        return f"{module.__name__} does not have exactly one agent; {EXPECTED}. PydanticAI agents there: {known}."
    if hasattr(module, attribute):
        kind = type(getattr(module, attribute)).__name__
        return f"{module.__name__}:{attribute} is a {kind}; expected a PydanticAI Agent. Agents there: {known}."
    meant = nearest(attribute, agents)
    hint = f" Did you mean {meant!r}?" if meant else ""
    return f"{module.__name__} has no {attribute!r}. PydanticAI agents there: {known}.{hint}"

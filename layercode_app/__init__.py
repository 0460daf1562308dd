"""The public API of this package. Each name is imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING:
    from .agent.authorization import AuthorizeRequest
    from .agent.confirm_options import Confirm
    from .agent.discovery import find_agent
    from .agent.guards import no_card_numbers, prompt_injection, stay_on_topic
    from .agent.markdown_filter import SPEAK_PLAINLY
    from .agent.offline import Call, Scene
    from .agent.prompts import load_prompt
    from .agent.speakable import Speakable
    from .agent.stage import Stage
    from .agent.tool_policy import ToolPolicy
    from .agent.voice_agent import VoiceAgent
    from .agent.voicemail import Voicemail
    from .conversation.summary import Summary
    from .conversation.turn import Turn
    from .exceptions import (
        AgentImportError,
        AgentNotFoundError,
        ConfigurationError,
        DeveloperError,
        EventError,
        HookError,
        LayerCodeError,
        PayloadTooLargeError,
        PlatformAPIError,
        PlatformError,
        RefusedError,
        SignatureError,
        StateError,
        StoreError,
    )
    from .journal.record import TurnRecord
    from .server.app import LayerCode
    from .settings import Settings, load_settings
    from .webhook import (
        Data,
        Event,
        Message,
        SessionEnd,
        SessionStart,
        SessionUpdate,
        UnknownEvent,
        Welcome,
        parse_event,
        sign,
        verify,
    )

__all__ = [
    "SPEAK_PLAINLY",
    "AgentImportError",
    "AgentNotFoundError",
    "AuthorizeRequest",
    "Call",
    "ConfigurationError",
    "Confirm",
    "Data",
    "DeveloperError",
    "Event",
    "EventError",
    "HookError",
    "LayerCode",
    "LayerCodeError",
    "Message",
    "PayloadTooLargeError",
    "PlatformAPIError",
    "PlatformError",
    "RefusedError",
    "Scene",
    "SessionEnd",
    "SessionStart",
    "SessionUpdate",
    "Settings",
    "SignatureError",
    "Speakable",
    "Stage",
    "StateError",
    "StoreError",
    "Summary",
    "ToolPolicy",
    "Turn",
    "TurnRecord",
    "UnknownEvent",
    "VoiceAgent",
    "Voicemail",
    "Welcome",
    "__version__",
    "find_agent",
    "load_prompt",
    "load_settings",
    "no_card_numbers",
    "parse_event",
    "prompt_injection",
    "sign",
    "stay_on_topic",
    "verify",
]

_HOMES = {
    "agent.authorization": ("AuthorizeRequest",),
    "agent.confirm_options": ("Confirm",),
    "agent.discovery": ("find_agent",),
    "agent.guards": ("no_card_numbers", "prompt_injection", "stay_on_topic"),
    "agent.offline": ("Call", "Scene"),
    "agent.prompts": ("load_prompt",),
    "agent.markdown_filter": ("SPEAK_PLAINLY",),
    "agent.speakable": ("Speakable",),
    "agent.stage": ("Stage",),
    "agent.tool_policy": ("ToolPolicy",),
    "agent.voice_agent": ("VoiceAgent",),
    "agent.voicemail": ("Voicemail",),
    "conversation.summary": ("Summary",),
    "conversation.turn": ("Turn",),
    "journal.record": ("TurnRecord",),
    "server.app": ("LayerCode",),
    "settings": ("Settings", "load_settings"),
    "webhook": (
        "Data", "Event", "Message", "SessionEnd", "SessionStart", "SessionUpdate", "UnknownEvent", "Welcome",
        "parse_event", "sign", "verify",
    ),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, so that `--help` does not import PydanticAI."""
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module 'layercode_app' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME_OF.get(name, 'exceptions')}", __name__), name)
    globals()[name] = value
    return value

"""Model servers that refuse what providers refuse, for four protocols, over real HTTP.

Each serves one protocol from a script, and answers 400, in the provider's shape, to a request that the provider is
known to refuse. In the code, a comment beside each refusal names its source. `refused` lists the messages of the
refusals.
"""

from __future__ import annotations

from .anthropic import StrictAnthropic
from .base import Asked, Break, Call, Fail, Hang, Line, Say, Script, Step, StrictModel, Think, words
from .chat import StrictChat
from .gemini import StrictGemini
from .responses import StrictResponses

ALL: tuple[type[StrictModel], ...] = (StrictChat, StrictResponses, StrictAnthropic, StrictGemini)

__all__ = [
    "ALL",
    "Asked",
    "Break",
    "Call",
    "Fail",
    "Hang",
    "Line",
    "Say",
    "Script",
    "Step",
    "StrictAnthropic",
    "StrictChat",
    "StrictGemini",
    "StrictModel",
    "StrictResponses",
    "Think",
    "words",
]

"""Model servers for four protocols, over real HTTP. They refuse the requests that the real providers refuse.

Each server answers from a script. If the provider is known to refuse a request, the server answers with status 400 and
an error in the provider's format. A comment above each refusal in the code names its source, such as a bug report.
`refused` lists the messages of the refusals.
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

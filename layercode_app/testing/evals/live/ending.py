"""Why a simulated call ended, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..simulated.caller_spec import CallerSpec
from ..simulated.simulated_caller import Account

How: TypeAlias = Literal["goal reached", "caller", "agent", "max_turns", "stopped", "closed", "failed"]
"""What ended a call. `closed`: the platform closed the connection. `failed`: the caller's script or model failed."""

_CLOSED = {
    "timeout": "Both sides were silent for too long, so the platform ended the call.",
    "hangup": "The agent hung up.",
}


@dataclass(frozen=True)
class Ending:
    """The end of a call, and a sentence about it for a person."""

    how: How
    text: str

    @property
    def came_to_an_end(self) -> bool:
        """Whether the caller, the agent or `max_turns` ended the call. Other calls are not graded."""
        return self.how in ("goal reached", "caller", "agent", "max_turns")


STOPPED = Ending("stopped", "You stopped the call.")


def ending_of(account: Account, spec: CallerSpec, closed_because: str | None) -> Ending:
    """Return the end of a call that was not stopped and did not fail."""
    why = sentence(account.unfinished)
    match account.hung_up:
        case "goal reached":
            return Ending("goal reached", "The caller reached the goal and hung up.")
        case "caller" if why:
            return Ending("caller", why)
        case "caller" if isinstance(spec.script, list):
            return Ending("caller", "The caller said every line of the script and hung up.")
        case "caller":
            return Ending("caller", "The caller hung up.")
        case "agent":
            return Ending("agent", f"The agent hung up{'' if why else ', and the caller had nothing more to say'}.")
        case "max_turns":
            text = f"The caller may send {spec.max_turns} messages (max_turns), but the call was not over after them."
            return Ending("max_turns", text)
    reason = closed_because or "the connection was closed"
    return Ending("closed", _CLOSED.get(reason, f"The platform ended the call: {reason}."))


def failed(error: BaseException, *, script: object) -> Ending:
    """Return the ending of a call that broke off because the caller's script or model raised `error`.

    `script` is the `script` of the caller's spec. If it is the name of a function, the ending's text includes it.
    """
    who = f"The caller's script {script}" if isinstance(script, str) else "The caller"
    return Ending("failed", f"{who} raised {type(error).__name__}: {str(error).partition(chr(10))[0] or 'no message'}.")


def sentence(text: str) -> str:
    """Return the text as a sentence, with a capital letter and one full stop; empty for an empty text."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""

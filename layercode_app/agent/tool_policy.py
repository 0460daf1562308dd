"""`ToolPolicy`, which sets what is said while a tool runs, and what an interruption does to the tool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..blank import is_blank
from ..exceptions import DeveloperError

INTERRUPTIONS = ("cancel", "finish", "finish_and_tell")


@dataclass(frozen=True)
class ToolPolicy:
    """Options for one tool: `tools={"search": ToolPolicy(filler="Let me look that up.", interruption="finish")}`.

    Args:
        filler: One or several texts to say when the caller hears nothing while the tool runs. They are said before the
            agent's own fillers, and each at most once a turn.
        interruption: What an interruption does to the running tool: "cancel" stops it, "finish" lets it finish, and
            "finish_and_tell" also tells the model the tool's result in the next turn.

    Raises DeveloperError if `interruption` has another value, or `filler` another type.

    """

    filler: str | Sequence[str] | None = None
    interruption: str = "cancel"

    def __post_init__(self) -> None:
        if self.interruption not in INTERRUPTIONS:
            raise DeveloperError(
                f"ToolPolicy interruption={self.interruption!r}: expected one of {', '.join(INTERRUPTIONS)}."
            )
        texts_of("ToolPolicy filler", self.filler)

    @property
    def texts(self) -> tuple[str, ...]:
        """The filler texts, without blank ones."""
        return texts_of("ToolPolicy filler", self.filler)


def policies_of(tools: Mapping[str, Any] | None) -> dict[str, ToolPolicy]:
    """Return a ToolPolicy for each tool name. A text such as "finish" stands for a policy with this `interruption`.

    Raises DeveloperError for any other value.
    """
    return {name: _policy(name, given) for name, given in (tools or {}).items()}


def _policy(name: str, given: object) -> ToolPolicy:
    if isinstance(given, ToolPolicy):
        return given
    if given not in INTERRUPTIONS:
        raise DeveloperError(
            f"VoiceAgent tools[{name!r}]={given!r}: expected one of {', '.join(INTERRUPTIONS)}, or a ToolPolicy."
        )
    return ToolPolicy(interruption=str(given))


def texts_of(what: str, given: object) -> tuple[str, ...]:
    """Return one or several texts as a tuple, without blank ones. The tuple is empty for None and False.

    Raises DeveloperError for another value. `what` is the name of the option in the error's message.
    """
    if given is None or given is False:
        return ()
    texts = (given,) if isinstance(given, str) else given
    if not isinstance(texts, Sequence) or not all(isinstance(text, str) for text in texts):
        raise DeveloperError(f"{what}={given!r}: expected a text, a list of texts, or False for none.")
    return tuple(text for text in texts if not is_blank(text))


DEFAULT_POLICY = ToolPolicy()

"""What callers do to a webhook while it is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Arrivals = Literal["spread", "together"]
ARRIVALS: dict[str, tuple[Arrivals, ...]] = {
    "spread": ("spread",),
    "together": ("together",),
    "both": ("spread", "together"),
}
"""What may be asked for, and what is then measured."""


@dataclass(frozen=True)
class Load:
    """How many callers, with how many turns each. Times in seconds.

    `spread` callers come one after another over `ramp`, and then go on at their own pace; of callers who are `together`
    the nth turns all begin in the same instant. `think` is how long a caller waits before the next turn, give or take
    a half where they are spread. `interrupt` is the share of turns that are spoken over after the first words,
    `timeout` how long a turn may take, and `say` what is said, in turn.
    """

    callers: int = 10
    turns: int = 5
    ramp: float = 0.0
    think: float = 0.0
    interrupt: float = 0.0
    timeout: float = 60.0
    arrivals: Arrivals = "spread"
    say: tuple[str, ...] = ()

    def text(self, caller: int, turn: int) -> str:
        """What this caller says in this turn; both are counted from 0."""
        if self.say:
            return self.say[turn % len(self.say)]
        return f"Hello, this is caller {caller + 1}, turn {turn + 1}."

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {name: value for name, value in vars(self).items() if name not in ("arrivals", "say")}

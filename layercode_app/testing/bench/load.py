"""The load that callers put on a webhook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Arrivals = Literal["spread", "together"]
ARRIVALS: dict[str, tuple[Arrivals, ...]] = {
    "spread": ("spread",),
    "together": ("together",),
    "both": ("spread", "together"),
}
"""The kinds of arrivals that each choice of `--arrivals` measures."""


@dataclass(frozen=True)
class Load:
    """The number of callers, the number of turns of each caller, and their pace. Times are in seconds.

    If `arrivals` is "spread", the callers begin one after another over `ramp`, then each continues at their own pace.
    If it is "together", all callers begin their nth turn at the same time. `think` is the pause before a caller's next
    turn; for "spread" it varies at random by up to half. `interrupt` is the share of turns that are interrupted at the
    first speech. `timeout` is the limit for one turn. Every caller says the texts in `say`, one a turn, and then
    begins again with the first text. Without `say`, every turn has its own default text.
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
        """Return the caller's words in this turn; both numbers count from 0."""
        if self.say:
            return self.say[turn % len(self.say)]
        return f"Hello, this is caller {caller + 1}, turn {turn + 1}."

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary for JSON."""
        return {name: value for name, value in vars(self).items() if name not in ("arrivals", "say")}

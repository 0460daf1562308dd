"""Tally hedged requests: how often a slow request was sent a second time, how often that helped, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..journal.cost import Cost, cost_of
from ..journal.record import Json, TurnRecord


@dataclass
class Hedges:
    """The hedged requests of a group of turns."""

    requests: int = 0
    """The requests that agents sent to their models. The second request of a hedged pair is not counted."""
    sent: int = 0
    won: int = 0
    most: Cost = field(default_factory=Cost)
    """An upper limit for the cost of the slower requests. Each counts as much as the faster request of its pair."""

    def add(self, record: TurnRecord) -> None:
        """Count the requests of one turn."""
        sent, won = record.hedges
        own = [call for call in record.requests if not call.stage]
        self.requests += len(own) - sent
        self.sent += sent
        self.won += won
        for number, call in enumerate(own):
            if call.hedge in ("lost", "slow"):
                # Find the other request of the pair, which answered. If this request lost, it was sent second, so the
                # other one is before it. If this request was slow, it was sent first, so the other one is after it.
                place = number - 1 if call.hedge == "lost" else number + 1
                self.most += cost_of(own[place]) if 0 <= place < len(own) else Cost(0.0, 1)

    @property
    def share(self) -> float:
        """The share of requests that were sent a second time."""
        return self.sent / self.requests if self.requests else 0.0

    def as_json(self) -> Json:
        """Return the figures as JSON."""
        return {"sent": self.sent, "won": self.won, "share": round(self.share, 4), "cost_at_most": self.most.known}

    def __str__(self) -> str:
        return (
            f"{self.sent:,} of {self.requests:,} model requests ({self.share:.1%}) were sent a second time; the "
            f"second was faster {self.won:,} times. The slower requests cost at most {self.most}."
        )

"""The readiness report of `/ready`: the state of each component."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..exceptions import StoreError
from ..journal.stores.base import Store

PING_SECONDS = 2.0


@dataclass
class Health:
    """The components that `/ready` reports.

    `failed` maps agent files to import errors; the other agents are still served.
    """

    store: Store
    agents: list[str] = field(default_factory=list)
    failed: Mapping[str, str] = field(default_factory=dict)
    draining: bool = False
    _reached: bool = field(default=False, init=False)
    """Whether the journal has been usable at least once."""

    async def ready(self, *, journal_optional: bool = False) -> tuple[bool, dict[str, object]]:
        """Return whether turns can be answered, and a report.

        The report gives the state of each component ("ok", "degraded" or "down") and the reason for it. If
        `journal_optional` is true, a journal that was usable before counts as degraded and not as down.
        """
        journal = await self._journal()
        self._reached = self._reached or journal["status"] == "ok"
        if journal_optional and self._reached and journal["status"] == "down":
            journal["status"] = "degraded"
        components = {"agents": self._agents(), "journal": journal, "server": self._server()}
        states = {str(part["status"]) for part in components.values()}
        overall = "down" if "down" in states else "degraded" if "degraded" in states else "ok"
        return overall != "down", {"status": overall, "components": components}

    def _agents(self) -> dict[str, object]:
        status = "degraded" if self.failed and self.agents else "ok" if self.agents else "down"
        detail: dict[str, object] = {"status": status, "loaded": sorted(self.agents)}
        return detail | ({"failed": dict(self.failed)} if self.failed else {})

    async def _journal(self) -> dict[str, object]:
        try:
            async with asyncio.timeout(PING_SECONDS):
                await self.store.ping()
        except TimeoutError:
            return {"status": "down", "reason": f"no answer within {PING_SECONDS:g} s", "store": self.store.component}
        except StoreError as error:
            return {"status": "down", "reason": str(error), "store": self.store.component}
        return {"status": "ok", "store": self.store.component}

    def _server(self) -> dict[str, object]:
        return {"status": "down", "reason": "draining"} if self.draining else {"status": "ok"}

"""How often one client may ask: counted here, or in Redis where the journal is in Redis, so that all hosts count."""

from __future__ import annotations

import ipaddress
import time
from typing import TYPE_CHECKING, Any

from loguru import logger

if TYPE_CHECKING:
    from limits.aio.strategies import RateLimiter

REDIS = ("redis://", "rediss://", "redis+unix://", "unix://")


class RateLimit:
    """At most so many requests a client in a period, such as "20/minute". Without a rate there is no limit."""

    def __init__(self, rate: str, store: str) -> None:
        self._rate = rate
        self._store = store
        self._limiter: RateLimiter | None = None
        self._item: Any = None

    async def wait_for(self, client: str) -> float:
        """Count a request: 0 when it may pass, else the seconds after which the next one may."""
        if not self._rate:
            return 0.0
        limiter = self._limiter or self._create(shared=self._store.startswith(REDIS))
        key = network_of(client)
        try:
            if await limiter.hit(self._item, "authorize", key):
                return 0.0
            reset: float = (await limiter.get_window_stats(self._item, "authorize", key)).reset_time
        except Exception as error:  # noqa: BLE001 - a client library may raise anything; the limit holds all the same
            logger.warning("Requests are counted in this process only: {} from Redis.", type(error).__name__)
            await self.close()
            self._create(shared=False)
            return await self.wait_for(client)
        return max(reset - time.time(), 1.0)

    def _create(self, *, shared: bool) -> RateLimiter:
        from limits import parse
        from limits.aio.storage import MemoryStorage, RedisStorage
        from limits.aio.strategies import SlidingWindowCounterRateLimiter

        self._item = parse(self._rate)
        storage: Any = RedisStorage(f"async+{self._store}", implementation="redispy") if shared else MemoryStorage()
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        return self._limiter

    async def close(self) -> None:
        """Let go of the storage."""
        storage: Any = getattr(self._limiter, "storage", None)
        self._limiter = None
        timer = getattr(storage, "timer", None)
        if timer is not None:
            timer.cancel()
        bridge = getattr(storage, "bridge", None)
        if bridge is not None:
            await bridge.storage.aclose()


def network_of(client: str) -> str:
    """The client's address; of an IPv6 address its /64, which one subscriber has whole."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)

"""How often one client may ask: counted here, or in Redis where the journal is in Redis, so that all hosts count."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from loguru import logger

from .sliding import SlidingWindow

if TYPE_CHECKING:
    from limits.aio.strategies import RateLimiter

REDIS = ("redis://", "rediss://", "redis+unix://", "unix://")
RETRY_SECONDS = 30.0
"""How long each process counts alone after Redis failed, before it asks Redis again."""
REDIS_TIMEOUT = 2.0
"""Seconds after which a Redis that hangs has failed."""


class RateLimit:
    """At most so many requests a client in a period, such as "20/minute". Without a rate there is no limit."""

    def __init__(self, rate: str, store: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._store = store
        self._clock = clock
        self._shared: RateLimiter | None = None
        self._own = SlidingWindow(clock=clock)
        """One for all outages of Redis: what was counted in one must not start from nothing in the next."""
        self._again_at: float | None = None  # set while Redis is away

    async def wait_for(self, client: str) -> float:
        """Count a request: 0 when it may pass, else the seconds after which the next one may."""
        if not self.rate:
            return 0.0
        key = network_of(client)
        if self._ask_redis():
            self._shared = self._shared or _limiter(self._store)
            try:
                wait = await self._count(self._shared, key)
            except Exception as error:  # noqa: BLE001 - a client library may raise anything; the limit holds all the same
                self._lost(error)
            else:
                self._found()
                return wait
        from limits import parse

        rate = parse(self.rate)
        wait = self._own.hit(key, amount=rate.amount, seconds=rate.get_expiry())
        return max(wait, 1.0) if wait else 0.0

    def _ask_redis(self) -> bool:
        if not self._store.startswith(REDIS):
            return False
        if self._again_at is None:
            return True
        if self._clock() < self._again_at:
            return False
        # This request finds out; those beside it are not held up.
        self._again_at = self._clock() + RETRY_SECONDS
        return True

    def _lost(self, error: Exception) -> None:
        if self._again_at is None:
            logger.warning("Requests are counted in this process only: {} from Redis.", type(error).__name__)
        self._again_at = self._clock() + RETRY_SECONDS

    def _found(self) -> None:
        if self._again_at is not None:
            logger.info("Requests are counted in Redis again.")
        self._again_at = None

    async def _count(self, limiter: RateLimiter, key: str) -> float:
        from limits import parse

        rate = parse(self.rate)
        if await limiter.hit(rate, "authorize", key):
            return 0.0
        reset: float = (await limiter.get_window_stats(rate, "authorize", key)).reset_time
        return max(reset - time.time(), 1.0)

    async def close(self) -> None:
        """Let go of the connections."""
        shared, self._shared = self._shared, None
        if shared is not None:
            storage: Any = shared.storage
            await storage.bridge.storage.aclose()


def _limiter(store: str) -> RateLimiter:
    from limits.aio.storage import RedisStorage
    from limits.aio.strategies import SlidingWindowCounterRateLimiter

    storage = RedisStorage(
        f"async+{store}", implementation="redispy", socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT
    )
    return SlidingWindowCounterRateLimiter(storage)


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

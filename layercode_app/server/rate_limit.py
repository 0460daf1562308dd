"""Limit the rate of each client's requests.

If the journal is in Redis, the requests are counted there, for all hosts together. Else each process counts separately.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from loguru import logger

from .sliding_window import SlidingWindow

if TYPE_CHECKING:
    from limits.aio.strategies import RateLimiter

REDIS = ("redis://", "rediss://", "redis+unix://", "unix://")
RETRY_SECONDS = 30.0
"""Seconds to wait after a failure of Redis before it is tried again. Meanwhile each process counts on its own."""
PREFIX = "layercode:limits"
"""Prefix of the keys in Redis. All keys of this package begin with `layercode:`, so that one ACL rule covers them."""
REDIS_TIMEOUT = 2.0
"""Socket timeout of Redis, in seconds."""


class RateLimit:
    """A rate limit for each client, such as "20/minute". Without a rate there is no limit."""

    def __init__(self, rate: str, store: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._store = store
        self._clock = clock
        self._shared: _Shared | None = None
        self._own = SlidingWindow(clock=clock)
        """Counts the requests that are not counted in Redis.

        This counter is kept after an outage of Redis, so that the count does not restart at 0 in the next outage.
        """
        self._again_at: float | None = None  # set while Redis is unavailable

    async def wait_for(self, client: str) -> float:
        """Count a request. Return 0 if it is allowed, otherwise the seconds until the client may try again."""
        if not self.rate:
            return 0.0
        key = network_of(client)
        if self._ask_redis():
            self._shared = self._shared or _Shared(self._store)
            try:
                wait = await self._count(self._shared.limiter, key)
            except Exception as error:  # noqa: BLE001 - a client library may raise anything; the limit still applies
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
        # Only this request tries Redis again. Concurrent requests do not wait for Redis.
        self._again_at = self._clock() + RETRY_SECONDS
        return True

    def _lost(self, error: Exception) -> None:
        if self._again_at is None:
            logger.warning("Requests are counted in this process only, because Redis failed: {}.", type(error).__name__)
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

    def open(self) -> None:
        """Forget connections that were left open by an event loop that is closed."""
        self._shared = None

    async def close(self) -> None:
        """Close the connections to Redis."""
        shared, self._shared = self._shared, None
        if shared is not None:
            await shared.pool.aclose()


class _Shared:
    """A rate limiter in Redis, and its connection pool. The library `limits` has no method that closes the pool."""

    def __init__(self, store: str) -> None:
        from limits.aio.storage import RedisStorage
        from limits.aio.strategies import SlidingWindowCounterRateLimiter
        from redis.asyncio import ConnectionPool

        self.pool = ConnectionPool.from_url(
            store.replace("redis+unix", "unix"), socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT
        )
        options: Any = {"connection_pool": self.pool}
        storage = RedisStorage(f"async+{store}", implementation="redispy", key_prefix=PREFIX, **options)
        self.limiter = SlidingWindowCounterRateLimiter(storage)


def network_of(client: str) -> str:
    """Return the client's address, or for IPv6 its /64 network, because one subscriber owns a whole /64."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)

"""The rate limit of a client, on one host and across hosts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import redis.asyncio

from layercode_app.server.rate_limit import RETRY_SECONDS, RateLimit, network_of

from ..redis_server import RedisServer

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("client", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("unknown", "unknown"),
    ],
)
def test_one_subscriber_is_one_client(client: str, network: str) -> None:
    assert network_of(client) == network


async def test_hosts_count_together_in_redis(redis_server: RedisServer) -> None:
    redis_server.clear()
    one, two = (RateLimit("3/minute", redis_server.url) for _ in range(2))
    passed = [await limit.wait_for("203.0.113.9") == 0 for limit in (one, two, one, two, one)]
    assert passed == [True, True, True, False, False]
    assert await two.wait_for("203.0.113.10") == 0
    async with redis.asyncio.Redis.from_url(redis_server.url, decode_responses=True) as client:
        keys = await client.keys()
    assert keys
    assert [key for key in keys if not str(key).startswith("layercode:")] == []
    await one.close()
    await two.close()


async def test_without_redis_the_limit_holds_in_this_process() -> None:
    limit = RateLimit("2/minute", "redis://127.0.0.1:1/0")
    passed = [await limit.wait_for("203.0.113.9") == 0 for _ in range(3)]
    assert passed == [True, True, False]
    await limit.close()


class Clock:
    """Time that passes when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_redis_counts_again_soon_after_it_is_back(tmp_path: Path) -> None:
    server, clock = RedisServer(tmp_path), Clock()
    server.start()
    limit, other_host = (RateLimit("3/minute", server.url, clock=clock) for _ in range(2))
    try:
        assert await limit.wait_for("203.0.113.9") == 0
        server.kill()
        assert await limit.wait_for("203.0.113.9") == 0
        server.start()
        clock.now += RETRY_SECONDS - 1
        assert await limit.wait_for("203.0.113.9") == 0
        clock.now += 2
        # Redis still counts the first request. With these two, the limit of three requests is reached.
        assert [await limit.wait_for("203.0.113.9") == 0 for _ in range(2)] == [True, True]
        assert await other_host.wait_for("203.0.113.9") > 0
    finally:
        await limit.close()
        await other_host.close()
        server.stop()


async def test_requests_that_fail_together_are_counted_together() -> None:
    clock = Clock()
    limit = RateLimit("3/minute", "redis://127.0.0.1:1/0", clock=clock)
    waits = await asyncio.gather(*(limit.wait_for("203.0.113.9") for _ in range(10)))
    assert sum(wait == 0 for wait in waits) == 3
    clock.now += RETRY_SECONDS + 1
    assert await limit.wait_for("203.0.113.9") > 0, "an attempt that fails forgets nothing"
    await limit.close()


async def test_a_redis_that_hangs_holds_up_one_request_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layercode_app.server.rate_limit.REDIS_TIMEOUT", 0.2)
    server = RedisServer(tmp_path)
    server.start()
    limit = RateLimit("3/minute", server.url)
    try:
        assert await limit.wait_for("203.0.113.9") == 0
        server.pause()
        async with asyncio.timeout(100):
            assert [await limit.wait_for("203.0.113.9") == 0 for _ in range(4)] == [True, True, True, False]
    finally:
        server.resume()
        await limit.close()
        server.stop()

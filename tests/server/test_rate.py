"""How often one client may ask, here and over all hosts."""

from __future__ import annotations

import pytest

from layercode_app.server.rate import RateLimit, network_of

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
    await one.close()
    await two.close()


async def test_without_redis_the_limit_holds_in_this_process() -> None:
    limit = RateLimit("2/minute", "redis://127.0.0.1:1/0")
    passed = [await limit.wait_for("203.0.113.9") == 0 for _ in range(3)]
    assert passed == [True, True, False]
    await limit.close()

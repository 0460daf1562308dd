"""The client's address is taken from trusted proxies only."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from ..ports import free_port
from ..processes import command, listening

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("trusted", "second"), [("127.0.0.1", 403), ("127.0.0.0/8", 403), ("10.0.0.1", 429)])
async def test_who_is_counted(tmp_path: Path, trusted: str, second: int) -> None:
    port = free_port()
    env = {
        "LAYERCODE_WEBHOOK_SECRET": "test-secret",
        "LAYERCODE_AUTHORIZE_RATE": "1/minute",
        "LAYERCODE_TRUSTED_PROXIES": trusted,
    }
    url = f"http://127.0.0.1:{port}"
    async with (
        command("run", "--agent", "echo", "--host", "127.0.0.1", "--port", str(port), cwd=tmp_path, env=env) as process,
        httpx.AsyncClient() as client,
    ):
        await listening(url, process)
        statuses = [
            (
                await client.post(
                    f"{url}/api/authorize", json={"agent_id": "a"}, headers={"x-forwarded-for": f"203.0.113.{number}"}
                )
            ).status_code
            for number in (1, 2)
        ]
    # 403 means that the second address counted as another client, whose request was refused because no agent is listed.
    # 429 means that both addresses counted as the same client.
    assert statuses == [403, second]

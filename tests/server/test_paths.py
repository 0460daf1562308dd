"""Hosts and proxies pass the path of a request in different ways, and each way reaches the same endpoint."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from layercode_app import LayerCode, VoiceAgent, sign
from layercode_app.server.asgi import route_path

from ..calling import SECRET, settings

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("root", "path", "expected"),
    [
        ("", "/api/agent", "/api/agent"),
        ("/voice", "/voice/api/agent", "/api/agent"),
        ("/voice/", "/voice/api/agent", "/api/agent"),
        ("/voice", "/voice", "/"),
        ("/voice", "/api/agent", "/api/agent"),
        ("/a", "/api/agent", "/api/agent"),
        ("", "/api/agent/", "/api/agent"),
        ("/voice", "/voice/", "/"),
        ("", "/", "/"),
    ],
)
def test_the_path_below_the_mount_point(root: str, path: str, expected: str) -> None:
    assert route_path({"path": path, "root_path": root}) == expected


@pytest.mark.parametrize("root", ["/x", "/a"])
async def test_a_proxy_may_strip_any_prefix(root: str, tmp_path: Path) -> None:
    app = LayerCode(VoiceAgent("echo", greeting="Hello!"), settings=settings(tmp_path, store="memory"))
    host = Starlette(routes=[Mount("/", app)])
    body = b'{"type": "session.end", "session_id": "s", "conversation_id": "c"}'
    proxied = httpx.ASGITransport(host, root_path=root)
    async with httpx.AsyncClient(transport=proxied, base_url="http://test") as http:
        answer = await http.post("/api/agent", content=body, headers={"layercode-signature": sign(body, SECRET)})
    await app.stop()
    assert answer.status_code == 200


async def test_a_slash_at_the_end_of_a_path_is_ignored(tmp_path: Path) -> None:
    app = LayerCode(VoiceAgent("echo", greeting="Hello!"), settings=settings(tmp_path, store="memory"))
    body = b'{"type": "session.end", "session_id": "s", "conversation_id": "c"}'
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        for path in ("/api/agent/", "/api/agents/echo/"):
            answer = await http.post(path, content=body, headers={"layercode-signature": sign(body, SECRET)})
            assert answer.json() == {"ok": True}
            assert (await http.get(path)).status_code == 405
        for path in ("/health/", "/ready/"):
            assert (await http.get(path)).json()["status"] == "ok"
        refused = await http.post("/api/authorize/", json={}, headers={"origin": "https://other.example"})
        assert refused.status_code == 403
        preflight = await http.options("/api/authorize/", headers={"origin": "http://test"})
        assert preflight.status_code == 204
    await app.stop()

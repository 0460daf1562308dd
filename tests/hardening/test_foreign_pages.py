"""Pages of foreign origins reach only the permitted routes and sockets of `run`, `dev` and `emulator`.

A route that is missing from the tables fails the test, so every new route needs an explicit entry.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from layercode_app import LayerCode, VoiceAgent
from layercode_app.emulator.app import create_emulator
from layercode_app.emulator.websocket import PATH as SOCKET

from ..calling import settings
from ..dev.serving import dev_server
from ..serving import serve

pytestmark = pytest.mark.anyio

EVIL = "evil.example"
ORIGINS = (
    f"https://{EVIL}", "null", "", "file://", f"http://localhost.{EVIL}", f"http://127.0.0.1.{EVIL}:8000",
    f"http://127.0.0.1@{EVIL}", "http://[::2]", "http://[", "chrome-extension://abc", f"http://{EVIL}#@localhost",
    "http://host.docker.internal:3000",
)  # fmt: skip
FOREIGN = [{"origin": origin} for origin in ORIGINS]
REBOUND = [
    {"host": EVIL},
    {"host": f"{EVIL}:8000", "origin": f"http://{EVIL}:8000"},
    {"host": f"127.0.0.1.{EVIL}", "origin": f"http://127.0.0.1.{EVIL}"},
    {"host": f"localhost@{EVIL}"},
    {"host": "0.0.0.0:8000"},
]
"""Headers of requests after DNS rebinding: the host name of a foreign page now points to this machine."""
FORWARDED = [{"x-forwarded-for": "203.0.113.9"}, {"forwarded": "for=203.0.113.9"}, {"cf-connecting-ip": "203.0.113.9"}]

UPGRADE = {
    "connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}  # fmt: skip

Reached = dict[tuple[str, str], int]
OF_A_SERVER: Reached = {
    ("GET", "/health"): 200,
    ("GET", "/ready"): 200,
    ("GET", "/metrics"): 404,
    ("POST", "/api/agent"): 401,
    ("POST", "/api/agents/alone"): 401,
    ("GET", "/api/agent"): 405,
    ("GET", "/elsewhere"): 404,
    ("POST", "/elsewhere"): 404,
}
"""The routes that answer a foreign page, with their status. A browser does not let the page read these answers."""


def routes_of(routes: Iterable[BaseRoute]) -> set[tuple[str, str]]:
    """Return the method and the path of each route. Each variable part of a path gets an example value."""
    found: set[tuple[str, str]] = set()
    for route in routes:
        if isinstance(route, Mount):
            found.add(("GET", f"{route.path}/js/main.js"))
        elif isinstance(route, WebSocketRoute):
            found.add(("SOCKET", route.path))
        else:
            assert isinstance(route, Route)
            path = re.sub(r"\{[^}]*\}", "x", route.path)
            found |= {(method, path) for method in route.methods or () if method != "HEAD"}
    return found


class Page:
    """A page of another site. It sends the requests that such a page could send."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self._url, self._http = url, http

    async def reaches(self, routes: Iterable[tuple[str, str]], headers: dict[str, str]) -> Reached:
        """Return the routes that do not answer 403, with their status."""
        answers = {route: await self._ask(*route, headers) for route in sorted(routes)}
        return {route: status for route, status in answers.items() if status != 403}

    async def _ask(self, method: str, path: str, headers: dict[str, str]) -> int:
        if method == "SOCKET":
            return await self._connect(path, headers)
        body = {"content": b"{}", "headers": {**headers, "content-type": "application/json"}}
        answer = await self._http.request(method, path, **body)  # type: ignore[arg-type]
        assert "access-control-allow-origin" not in answer.headers
        return answer.status_code

    async def _connect(self, path: str, headers: dict[str, str]) -> int:
        """Ask for a WebSocket with exactly these headers, and return the status."""
        host = self._url.removeprefix("http://")
        asked = {"host": host, **headers, **UPGRADE}
        reader, writer = await asyncio.open_connection(*host.split(":"))
        head = "".join(f"{name}: {value}\r\n" for name, value in asked.items())
        writer.write(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
        status = int((await reader.readline()).split()[1])
        writer.close()
        await writer.wait_closed()
        return status


@asynccontextmanager
async def page_of(url: str) -> AsyncIterator[Page]:
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=100) as http:
        yield Page(url, http)


async def test_at_the_emulator_a_foreign_page_reaches_nothing() -> None:
    app = create_emulator("http://127.0.0.1:1/hook", "test-secret")
    routes = routes_of(app.routes)
    assert ("SOCKET", SOCKET) in routes
    async with serve(app) as url, page_of(url) as page:
        for headers in [*FOREIGN, *REBOUND, *FORWARDED]:
            assert await page.reaches(routes, headers) == {}, headers


@pytest.mark.slow
async def test_at_dev_a_foreign_page_reaches_what_a_server_answers_and_no_more(tmp_path: Path) -> None:
    async with dev_server(tmp_path) as app, page_of(app.url) as page:
        own = routes_of(app._local.routes) | {("POST", "/api/authorize"), ("OPTIONS", "/api/authorize")}
        server = {(method, path.replace("alone", "shop")): status for (method, path), status in OF_A_SERVER.items()}
        assert {("SOCKET", SOCKET), ("GET", "/"), ("GET", "/dev/api/live"), ("PUT", "/emulator/faults")} <= own
        for headers in [*FOREIGN, *REBOUND, *FORWARDED]:
            assert await page.reaches(own, headers) == {}, headers
        for headers in (FOREIGN[0], REBOUND[1]):
            reached = await page.reaches(server, headers)
            # Other tests of this process may have begun to keep metrics.
            assert reached | {("GET", "/metrics"): 404} == server, headers


async def test_at_run_a_foreign_page_opens_no_session(tmp_path: Path) -> None:
    app = LayerCode(VoiceAgent("alone"), settings=settings(tmp_path, agent_id="a1"))
    routes = [
        *OF_A_SERVER,
        ("POST", "/api/authorize"),
        ("OPTIONS", "/api/authorize"),
        ("SOCKET", SOCKET),
        ("SOCKET", "/api/agent"),
    ]
    async with serve(app) as url, page_of(url) as page:
        for headers in FOREIGN:
            assert await page.reaches(routes, headers) | {("GET", "/metrics"): 404} == OF_A_SERVER, headers


async def test_at_run_the_own_host_may_open_sessions_whatever_its_name_is(tmp_path: Path) -> None:
    app = LayerCode(VoiceAgent("alone"), settings=settings(tmp_path, agent_id="a1"))
    async with serve(app) as url, httpx.AsyncClient(base_url=url, trust_env=False) as http:
        answer = await http.post(
            "/api/authorize", json={}, headers={"host": "shop.example", "origin": "https://shop.example"}
        )
    # A served app does not know its public host name, so it accepts this page. The request to the platform then fails
    # with 503, because no API key is set here.
    assert (answer.status_code, "LAYERCODE_API_KEY" in answer.text) == (503, True)


@pytest.mark.parametrize(
    "headers",
    [{}, {"origin": "http://localhost:3000"}, {"origin": "http://127.0.0.1:5173"}, {"origin": "https://localhost"},
     {"host": "localhost"}, {"host": "[::1]:8787"}, {"host": "host.docker.internal:8787"}],
)  # fmt: skip
async def test_pages_and_programs_of_this_machine_are_served(headers: dict[str, str]) -> None:
    app = create_emulator("http://127.0.0.1:1/hook", "test-secret")
    async with serve(app) as url, page_of(url) as page:
        routes = {("GET", "/v1/agents"), ("GET", "/emulator/faults"), ("POST", "/v1/agents/x"), ("SOCKET", SOCKET)}
        reached = await page.reaches(routes, headers)
        # The socket gets 401 because it has no session key. It is not refused because of its origin.
        assert reached == {**dict.fromkeys(routes, 200), ("SOCKET", SOCKET): 401}

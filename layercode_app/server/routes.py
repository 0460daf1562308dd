"""The routes that are not time-critical: health, readiness, metrics, and 404 or 405 for all other paths."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from loguru import logger
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..observability.setup import prometheus_text
from .asgi import route_path

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
NO_METRICS = "This server collects no metrics; see TELEMETRY_ENABLED, or use LayerCode(metrics=True)."


class Routes:
    """The handlers of `/health`, `/ready`, `/metrics` and all other paths.

    `readiness` returns whether the server is ready, and a report. With `journal_optional=True`, it accepts an outage of
    the journal: the server is ready to say the apology. `posts_at` returns whether a path answers POST, so that
    other methods get 405 there.
    """

    def __init__(self, readiness: Callable[..., Awaitable[tuple[bool, Any]]], posts_at: Callable[[str], bool]) -> None:
        self._readiness = readiness
        self._posts_at = posts_at

    def starlette(self, lifespan: Any) -> Starlette:
        """Return the Starlette app with these routes."""
        routes = [
            Route("/health", self._health),
            Route("/ready", self._ready),
            Route("/metrics", self._metrics),
            Route("/{path:path}", self._elsewhere, methods=METHODS),
        ]
        return Starlette(routes=routes, lifespan=lifespan, exception_handlers={Exception: _unexpected})

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _ready(self, request: Request) -> Response:
        optional = request.query_params.get("journal") == "optional"
        ready, report = await self._readiness(journal_optional=optional)
        return JSONResponse(report, status_code=200 if ready else 503)

    async def _metrics(self, request: Request) -> Response:
        text = await asyncio.to_thread(prometheus_text)
        if text is None:
            return JSONResponse({"error": NO_METRICS}, status_code=404)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _elsewhere(self, request: Request) -> Response:
        path = route_path(request.scope)
        if self._posts_at(path):
            return JSONResponse({"error": f"{path} accepts only POST."}, status_code=405, headers={"allow": "POST"})
        return JSONResponse({"error": f"Nothing is at {path[:200]!r}."}, status_code=404)


async def _unexpected(request: Request, error: Exception) -> Response:
    logger.opt(exception=error).error("{} {} failed: {}", request.method, request.url.path, type(error).__name__)
    return JSONResponse({"error": "Something went wrong on the server."}, status_code=500)

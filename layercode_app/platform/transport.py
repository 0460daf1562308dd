"""Send requests to the platform's REST API, retry them if that is safe, and turn failures into clear errors."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import httpx

from ..exceptions import PlatformAPIError
from ..wellformed import load_json

Sleep: TypeAlias = Callable[[float], Awaitable[None]]

RETRIES = 3
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 20.0
"""Seconds before the first retry, and the maximum pause, even if `Retry-After` is longer."""
REMEDIES = {
    400: "Check the key, the ids and the fields of the request",
    401: "LAYERCODE_API_KEY is not accepted; copy the key from the platform's dashboard",
    402: "The account's balance is used up; top it up in the platform's dashboard",
    403: "This key does not permit the request; check LAYERCODE_API_KEY",
    404: "Not found; check the ids and LAYERCODE_API_URL",
    429: "Too many requests; wait and try again",
}
MAX_REASON = 300


class Transport:
    """Sends requests with the API key. No error message contains the key.

    Only GET is retried: after status 429 or 5xx, and if the request failed without an answer.
    """

    def __init__(self, api_key: str, base_url: str, *, timeout: float, sleep: Sleep = asyncio.sleep) -> None:
        self._key = api_key
        self.sleep = sleep
        self.client = httpx.AsyncClient(
            base_url=base_url.rstrip("/") + "/", timeout=timeout, headers={"authorization": f"Bearer {api_key}"}
        )

    async def json(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send a request and return the JSON object of its answer. Raises PlatformAPIError for any other answer."""
        request = self.client.build_request(method, path.lstrip("/"), json=body)
        response = await self._send(request, whole=True)
        return self._object(response.content, response)

    async def send(self, method: str, path: str, body: Mapping[str, Any]) -> None:
        """Send a request, and ignore the content of its answer. Raises PlatformAPIError unless the status is 2xx."""
        await self._send(self.client.build_request(method, path.lstrip("/"), json=body), whole=True)

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, accept: Collection[int] = ()
    ) -> AsyncIterator[httpx.Response]:
        """Send a request and yield its answer, whose body is not read yet.

        Raises PlatformAPIError unless the status is 2xx or one of `accept`.
        """
        request = self.client.build_request(method, path.lstrip("/"), headers=headers)
        response = await self._send(request, accept=accept)
        try:
            yield response
        finally:
            await response.aclose()

    async def _send(
        self, request: httpx.Request, *, whole: bool = False, accept: Collection[int] = ()
    ) -> httpx.Response:
        retries = RETRIES if request.method == "GET" else 0
        for attempt in range(retries + 1):
            try:
                response = await self.client.send(request, stream=not whole)
            except httpx.RequestError as error:
                if attempt == retries:
                    raise self._lost(request, error) from error
                await self.sleep(_pause(attempt, None))
                continue
            if response.is_success or response.status_code in accept:
                return response
            refusal = await self._refusal(response)
            if attempt == retries or not (response.status_code == 429 or response.status_code >= 500):
                raise refusal
            await self.sleep(_pause(attempt, response.headers.get("retry-after")))
        raise AssertionError("unreachable")

    async def _refusal(self, response: httpx.Response) -> PlatformAPIError:
        try:
            raw = await response.aread()
        except httpx.HTTPError:
            raw = b""
        finally:
            await response.aclose()
        status, reason = response.status_code, self.hide(_reason_in(raw))
        remedy = REMEDIES.get(
            status, "The platform failed; try again later" if status >= 500 else "The request was refused"
        )
        said = f": {reason!r}" if reason else ""
        message = f"The platform answered {status} to {_name(response.request)}{said}. {remedy}."
        return PlatformAPIError(message, status=status, reason=reason)

    def _lost(self, request: httpx.Request, error: httpx.HTTPError) -> PlatformAPIError:
        if isinstance(error, httpx.TimeoutException):
            why = "did not answer in time; raise LAYERCODE_API_TIMEOUT or try again"
        elif isinstance(error, httpx.ConnectError):
            why = "could not be reached; check LAYERCODE_API_URL and the network"
        elif isinstance(error, httpx.DecodingError):
            why = "sent an answer that cannot be decoded; check LAYERCODE_API_URL"
        else:
            why = "broke the connection; try again"
        detail = self.hide(str(error)) or type(error).__name__
        return PlatformAPIError(
            f"The platform at {self.client.base_url} {why} ({_name(request)}: {detail}).",
            unreachable=isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError),
        )

    def _object(self, raw: bytes, response: httpx.Response) -> dict[str, Any]:
        try:
            value = load_json(raw)
        except ValueError as error:
            shown = self.hide(raw[:80].decode("utf-8", "replace"))
            raise PlatformAPIError(
                f"The platform answered {response.status_code} to {_name(response.request)} with something that is "
                f"not JSON: {shown!r}. Check LAYERCODE_API_URL.",
                status=response.status_code,
            ) from error
        if not isinstance(value, dict):
            raise PlatformAPIError(
                f"The platform answered {_name(response.request)} with a JSON {type(value).__name__}; "
                "expected an object. Check LAYERCODE_API_URL.",
                status=response.status_code,
            )
        return value

    def hide(self, text: str) -> str:
        """Return the text with the API key replaced by `[key]`, because the server may have echoed the key."""
        return text.replace(self._key, "[key]") if self._key else text


def _name(request: httpx.Request) -> str:
    return f"{request.method} {request.url.path}"


def _reason_in(raw: bytes) -> str:
    """Return the message in `{"error": "…"}` or `{"error": {"message": "…"}}`, or "" for any other body."""
    try:
        value = load_json(raw)
    except ValueError:
        return ""
    reason = value.get("error") if isinstance(value, dict) else None
    if isinstance(reason, dict):
        reason = reason.get("message")
    return str(reason)[:MAX_REASON] if reason else ""


def _pause(attempt: int, retry_after: str | None) -> float:
    try:
        asked = float(retry_after or 0)
    except ValueError:
        asked = 0.0
    backoff: float = FIRST_PAUSE * 2**attempt * random.uniform(0.8, 1.2)  # noqa: S311 - spreads retries, no secret
    return min(max(asked, backoff, 0.0), LONGEST_PAUSE)

"""A failure as the dev page shows it: the developer's own line, the message without secrets, and the fix."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.exceptions import AgentRunError
from pydantic_ai.models import override_allow_model_requests
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.providers.openai import OpenAIProvider
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from layercode_app import VoiceAgent
from layercode_app.exceptions import HookTimeoutError
from layercode_app.observability.errors import category_of
from layercode_app.observability.failure import failure_of
from layercode_app.observability.fixes import PROVIDERS_BY_CLIENT, PROVIDERS_BY_HOST, fix_of
from layercode_app.observability.privacy.masking import is_library
from layercode_app.scaffold.options import PROVIDERS
from layercode_app.settings.provider_keys import PROVIDER_KEYS
from layercode_app.testing.call import open_call

from ..ports import free_port
from ..serving import serve

OWN = """
def price_of(order):
    prices = {"bread": 2}
    return prices[order]


def look_up(order):
    return price_of(order)
"""


def own_module(folder: Path) -> ModuleType:
    """A module of the developer's own, in a file."""
    path = folder / "orders.py"
    path.write_text(OWN)
    module = ModuleType("orders")
    exec(compile(OWN, str(path), "exec"), vars(module))
    return module


@pytest.mark.anyio
async def test_the_developers_own_line_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    agent = Agent(TestModel())
    agent.tool_plain(own_module(tmp_path).look_up)
    with pytest.raises(KeyError) as raising:
        await agent.run("Look it up.")
    failure = failure_of(raising.value)
    assert (failure["type"], failure["message"], failure["fix"]) == ("KeyError", "a", "")
    at = failure["at"]
    assert (at["file"], at["line"], at["function"]) == ("orders.py", 4, "price_of")
    assert at["source"] == [
        (2, "def price_of(order):"),
        (3, '    prices = {"bread": 2}'),
        (4, "    return prices[order]"),
    ]
    own = [
        (frame["file"], frame["line"]) for frame in failure["frames"] if frame["own"] and frame["file"] == "orders.py"
    ]
    assert own == [("orders.py", 8), ("orders.py", 4)]
    libraries = {frame["file"].split("/")[0] for frame in failure["frames"] if not frame["own"]}
    assert "pydantic_ai" in libraries


def test_a_cause_is_told_and_its_own_line_is_found(tmp_path: Path) -> None:
    with pytest.raises(KeyError) as raising:
        own_module(tmp_path).look_up("cake")
    outer = RuntimeError("The order could not be read.")
    outer.__cause__ = raising.value
    failure = failure_of(outer)
    assert failure["causes"] == [{"type": "KeyError", "message": "cake"}]
    assert failure["at"]["line"] == 4


def test_secrets_are_masked_and_an_unreadable_error_is_no_error() -> None:
    class OddError(Exception):
        def __str__(self) -> str:
            raise ValueError("no text")

    assert "sk-proj-" not in failure_of(RuntimeError("Wrong key sk-proj-abcdefghijklmnop1234567890"))["message"]
    assert failure_of(OddError())["message"] == "(the error's text cannot be read)"


async def refusal(status: int, code: str) -> Exception:
    """Return the error of an agent whose provider refuses every request."""

    async def refuse(request: Request) -> Response:
        return JSONResponse({"error": {"message": "No.", "code": code}}, status)

    app = Starlette(routes=[Route("/v1/chat/completions", refuse, methods=["POST"])])
    async with serve(app, lifespan="off") as url:
        return await error_at(url)


async def error_at(url: str) -> Exception:
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="test-key", max_retries=0) as client:
        agent = Agent(OpenAIChatModel("gpt-9", provider=OpenAIProvider(openai_client=client)))
        with override_allow_model_requests(True), pytest.raises(AgentRunError) as raising:
            await agent.run("hello")
        return raising.value


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("status", "code", "fix"),
    [
        (401, "invalid_api_key", "The key is wrong: OPENAI_API_KEY. Put the right one into .env"),
        (403, "forbidden", "The key OPENAI_API_KEY may not use this model."),
        (404, "model_not_found", "The provider has no model 'gpt-9'."),
        (429, "rate_limit_exceeded", "The provider limits your requests."),
        (429, "insufficient_quota", "The provider's account has no credit left."),
        (400, "context_length_exceeded", "The conversation is too long for the model. Lower LAYERCODE_HISTORY_TOKENS."),
        (400, "invalid_value", "The provider refused the request itself"),
    ],
)
async def test_the_fix_of_a_providers_refusal_is_named(status: int, code: str, fix: str) -> None:
    assert failure_of(await refusal(status, code))["fix"].startswith(fix)


@pytest.mark.anyio
async def test_a_provider_that_is_away_and_a_slow_hook_have_a_fix() -> None:
    error = await error_at(f"http://127.0.0.1:{free_port()}")
    assert failure_of(error)["fix"].startswith("The provider could not be reached.")
    slow = HookTimeoutError("The agent took longer than 30 s.")
    assert "LAYERCODE_HOOK_TIMEOUT" in fix_of(slow, category_of(slow))
    late = TimeoutError()
    assert "LAYERCODE_TURN_TIMEOUT" in fix_of(late, category_of(late))


def test_the_keys_are_those_of_new_projects() -> None:
    assert {name: PROVIDER_KEYS[name] for name in PROVIDERS} == {name: one.key for name, one in PROVIDERS.items()}
    assert set(PROVIDER_KEYS) == {*PROVIDERS_BY_HOST.values(), *PROVIDERS_BY_CLIENT.values()}


@pytest.mark.anyio
async def test_a_production_journal_keeps_no_text_of_an_error() -> None:
    voice: VoiceAgent[Any, Any] = VoiceAgent("a")

    @voice.on_message
    async def fail(turn: Any) -> str:
        raise RuntimeError("my number is 415")

    async with open_call(voice) as call:
        record = (await call.say("hello")).record
    assert record is not None
    assert (record.error, record.failure) == ("RuntimeError", None)


def test_a_library_of_another_environment_is_no_own_code() -> None:
    # In `.ci/run` pytest is in another environment than this package.
    assert is_library(pytest.__file__)
    assert not is_library(__file__)

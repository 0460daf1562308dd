"""A conversation with an OpenAI-compatible server over HTTP, configured with OPENAI_BASE_URL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from layercode_app import ConfigurationError, LayerCode
from layercode_app.agent.discovery import discover

from ..calling import calling, settings
from ..model_server import ModelServer
from ..serving import serve

pytestmark = pytest.mark.anyio


def starter(tmp_path: Path, model: str | None = None, **given: Any) -> LayerCode:
    return LayerCode(discover().get("starter"), settings=settings(tmp_path, **given), model=model)


def texts(messages: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return the role and the text of each message in a request, except system messages.

    It reads the messages of both OpenAI APIs, chat completions and Responses.
    """
    found = []
    for message in messages:
        content = message["content"]
        text = content if isinstance(content, str) else "".join(part["text"] for part in content)
        found.append((message["role"], text))
    return [entry for entry in found if entry[0] != "system"]


@pytest.mark.parametrize("model", ["openai-chat:gpt-test", "openai:gpt-test"])
@pytest.mark.slow
async def test_the_third_request_carries_the_first_two_turns_also_after_a_restart(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ModelServer(reply=lambda messages: f"Answer {len([m for m in messages if m['role'] == 'user'])}.")
    async with serve(server.app) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "test-key")
        async with calling(starter(tmp_path, model)) as caller:
            first = await caller.say("one")
            await caller.say("two")
            conversation = caller.conversation_id
        async with calling(starter(tmp_path, model)) as caller:
            caller.conversation_id = conversation
            await caller.say("three")

    assert first.spoken == "Answer 1."
    request = server.requests[2]
    assert texts(request.get("messages") or request["input"]) == [
        ("user", "one"),
        ("assistant", "Answer 1."),
        ("user", "two"),
        ("assistant", "Answer 2."),
        ("user", "three"),
    ]
    assert "phone call" in json.dumps(request), "the agent's prompt goes along"


async def test_default_model_is_beaten_by_the_model_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ModelServer()
    async with serve(server.app) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "test-key")
        default = "openai-chat:default-model"
        async with calling(starter(tmp_path, default_model=default)) as caller:
            await caller.say("hello")
        async with calling(starter(tmp_path, "openai-chat:asked-model", default_model=default)) as caller:
            await caller.say("hello")
        async with calling(starter(tmp_path, "offline", default_model=default)) as caller:
            offline = await caller.say("hello")

    assert [request["model"] for request in server.requests] == ["default-model", "asked-model"]
    assert "offline" in offline.spoken


async def test_without_the_default_models_key_the_script_answers_only_in_development(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(
        ConfigurationError, match=r"DEFAULT_MODEL openai:gpt-test: OPENAI_API_KEY is not set\. Set it in"
    ):
        starter(tmp_path, default_model="openai:gpt-test")
    voice, own = discover().get("starter"), settings(tmp_path, default_model="openai:gpt-test")
    async with calling(LayerCode(voice, settings=own, offline_without_key=True)) as caller:
        assert "offline" in (await caller.say("hello")).spoken


async def test_a_model_that_was_asked_for_and_has_no_key_is_an_error_that_names_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match=r"--model openai:gpt-test: .*OPENAI_API_KEY"):
        starter(tmp_path, "openai:gpt-test")
    with pytest.raises(ConfigurationError, match="--model banana"):
        starter(tmp_path, "banana")


async def test_a_model_that_fails_at_first_is_tried_again_before_anything_was_spoken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ModelServer(status=503)

    def fix(messages: list[dict[str, Any]]) -> str:
        return "Here I am."

    server.reply = fix
    async with serve(server.app) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "test-key")
        app = starter(tmp_path, "openai-chat:gpt-test", apology="Sorry!")
        async with calling(app) as caller:
            failed = await caller.say("hello")
            server.status = 200
            mended = await caller.say("again")

    assert failed.spoken == "Sorry!"
    assert mended.spoken == "Here I am."

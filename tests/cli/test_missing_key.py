"""A model without its key: `run` refuses to start, `dev`, `chat` and tests answer offline and say so."""

from __future__ import annotations

from pathlib import Path

import pytest

from layercode_app import LayerCode, VoiceAgent

from ..calling import SECRET, settings
from ..ports import free_port
from ..processes import command, listening, run

pytestmark = pytest.mark.anyio

SHOP = """
from pydantic_ai import Agent

from layercode_app import VoiceAgent

agent = VoiceAgent({name!r}, Agent({model}))
"""
FIX = "Set it in .env or in the environment, or answer from the agents' scripts with --model offline."
ENV = {"LAYERCODE_WEBHOOK_SECRET": SECRET, "LAYERCODE_STORE": "memory"}


def project(folder: Path, **models: str) -> Path:
    """A project with an agent file for each name, each with the arguments of its PydanticAI agent."""
    (folder / "agents").mkdir()
    for name, model in models.items():
        (folder / "agents" / f"{name}.py").write_text(SHOP.format(name=name, model=model))
    return folder


@pytest.mark.parametrize(
    ("own", "env", "said"),
    [
        ("", {"DEFAULT_MODEL": "openai:gpt-5-mini"}, "DEFAULT_MODEL openai:gpt-5-mini: OPENAI_API_KEY is not set. "),
        ("'deepseek:x', defer_model_check=True", {}, "The model of agent 'shop', deepseek:x: DEEPSEEK_API_KEY is not "),
        ("", {"DEFAULT_MODEL": "openai:gpt-5-mini", "OPENAI_API_KEY": "test-key", "FALLBACK_MODELS": "deepseek:x"},
         "FALLBACK_MODELS deepseek:x: DEEPSEEK_API_KEY is not set. "),
    ],
)  # fmt: skip
def test_run_refuses_to_start_and_names_the_model_the_variable_and_the_fix(
    own: str, env: dict[str, str], said: str, tmp_path: Path
) -> None:
    project(tmp_path, shop=own)
    code, printed = run("run", "--agent", "shop", "--port", "0", cwd=tmp_path, env=ENV | env, APP_ENV="production")
    assert code == 2, printed
    told = " ".join(printed.split())
    assert f"Error: {said}" in told
    assert FIX in told
    assert "Traceback" not in printed


def test_run_refuses_for_any_of_the_agents_it_serves(tmp_path: Path) -> None:
    project(tmp_path, fine="", other="'deepseek:x', defer_model_check=True")
    code, printed = run("run", "--agent", "fine", "--port", "0", cwd=tmp_path, env=ENV)
    assert code == 2, printed
    assert "The model of agent 'other', deepseek:x: DEEPSEEK_API_KEY is not set." in printed


@pytest.mark.parametrize(
    ("options", "env"),
    [
        (("--model", "offline"), {"DEFAULT_MODEL": "openai:gpt-5-mini"}),
        ((), {"DEFAULT_MODEL": "offline", "FALLBACK_MODELS": "deepseek:x"}),
        ((), {}),
    ],
)
async def test_run_plays_the_script_where_that_was_chosen(
    options: tuple[str, ...], env: dict[str, str], tmp_path: Path
) -> None:
    project(tmp_path, shop="")
    port = free_port()
    listen = ("--host", "127.0.0.1", "--port", str(port))
    async with command("run", "--agent", "shop", *listen, *options, cwd=tmp_path, env=ENV | env) as process:
        await listening(f"http://127.0.0.1:{port}", process)
    assert "shop (offline" in (tmp_path / "output.txt").read_text()


def test_chat_goes_on_offline_and_says_so_in_one_line(tmp_path: Path) -> None:
    project(tmp_path, shop="", other="")
    env = ENV | {"DEFAULT_MODEL": "openai:gpt-5-mini", "FALLBACK_MODELS": "deepseek:x", "OPENAI_API_KEY": ""}
    code, printed = run("chat", "--agent", "shop", "--say", "hello", cwd=tmp_path, env=env)
    assert code == 0, printed
    assert "I am running offline, without a model. You said: hello" in printed
    # An empty variable counts as not set.
    said = "OPENAI_ADMIN_KEY is not set. Agents that use it answer offline"
    assert [said in line for line in printed.splitlines()].count(True) == 1, printed


async def test_dev_goes_on_offline_and_says_so_in_one_line(tmp_path: Path) -> None:
    project(tmp_path, shop="'deepseek:x', defer_model_check=True")
    port = free_port()
    async with command("dev", "--port", str(port), cwd=tmp_path, env=ENV) as process:
        await listening(f"http://127.0.0.1:{port}", process)
    printed = (tmp_path / "output.txt").read_text()
    assert printed.count("deepseek:x: DEEPSEEK_API_KEY is not set. Agents that use it answer offline") == 1, printed
    assert "shop (offline" in printed


def test_in_development_a_fallback_without_a_key_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pydantic_ai import Agent
    from pydantic_ai.models.fallback import FallbackModel

    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    monkeypatch.delenv("DEEPSEEK_API_KEY", raising=False)
    voice = VoiceAgent("shop", Agent("openai:first"))
    fallbacks = ("deepseek:x", "openai:second")
    LayerCode(voice, settings=settings(tmp_path, fallback_models=fallbacks), offline_without_key=True)
    assert isinstance(voice.model, FallbackModel)
    assert [model.model_name for model in voice.model.models] == ["first", "second"]

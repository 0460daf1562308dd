"""If the key of an agent's model is missing, `run` refuses to start.

`dev`, `chat` and the tests of an agent then answer offline. `dev` and `chat` print a line that says so.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic_ai import Agent
from pydantic_ai.exceptions import UserError
from pydantic_ai.models.fallback import FallbackModel

from layercode_app import LayerCode, VoiceAgent
from layercode_app.agent.discovery import discover
from layercode_app.agent.models import named_model
from layercode_app.exceptions import ConfigurationError

from .. import forked
from ..calling import SECRET, settings
from ..ports import free_port
from ..processes import clean_environment, command, listening, run

pytestmark = pytest.mark.anyio

SHOP = """
from pydantic_ai import Agent

from layercode_app import VoiceAgent

agent = VoiceAgent({name!r}, Agent({model}))
"""
FIX = "Set it in .env or in the environment, or answer from the agents' scripts with --model offline."
ENV = {"LAYERCODE_WEBHOOK_SECRET": SECRET, "LAYERCODE_STORE": "memory"}


def project(folder: Path, **models: str) -> Path:
    """Write a project with one agent file for each item of `models`, and return its folder.

    The key of an item is the name of the agent. The value is the text of the arguments for its PydanticAI agent.
    """
    (folder / "agents").mkdir(parents=True)
    for name, model in models.items():
        (folder / "agents" / f"{name}.py").write_text(SHOP.format(name=name, model=model))
    return folder


@pytest.mark.parametrize(
    ("own", "env", "said"),
    [
        ("", {"DEFAULT_MODEL": "openai:gpt-5-mini"}, "DEFAULT_MODEL openai:gpt-5-mini: OPENAI_API_KEY is not set. "),
        ("'deepseek:x', defer_model_check=True", {}, "The model of agent 'shop', deepseek:x: DEEPSEEK_API_KEY is not "),
        ("'deepseek:x'", {}, "The model of agent 'shop', deepseek:x: DEEPSEEK_API_KEY is not set. "),
        ("", {"DEFAULT_MODEL": "openai:gpt-5-mini", "OPENAI_API_KEY": "test-key", "FALLBACK_MODELS": "deepseek:x"},
         "FALLBACK_MODELS deepseek:x: DEEPSEEK_API_KEY is not set. "),
    ],
)  # fmt: skip
@pytest.mark.slow
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


@pytest.mark.slow
def test_chat_goes_on_offline_and_says_so_in_one_line(tmp_path: Path) -> None:
    project(tmp_path, shop="", other="")
    env = ENV | {"DEFAULT_MODEL": "openai:gpt-5-mini", "FALLBACK_MODELS": "deepseek:x", "OPENAI_API_KEY": ""}
    code, printed = run("chat", "--agent", "shop", "--say", "hello", cwd=tmp_path, env=env)
    assert code == 0, printed
    assert "I am running offline, without a model. You said: hello" in printed
    # An empty variable counts as not set.
    said = "OPENAI_API_KEY is not set. Agents that use this model answer offline"
    assert [said in line for line in printed.splitlines()].count(True) == 1, printed


@pytest.mark.parametrize("model", ["'deepseek:x'", "'deepseek:x', defer_model_check=True"])
async def test_dev_goes_on_offline_and_says_so_in_one_line(model: str, tmp_path: Path) -> None:
    project(tmp_path, shop=model)
    port = free_port()
    async with command("dev", "--port", str(port), cwd=tmp_path, env=ENV) as process:
        await listening(f"http://127.0.0.1:{port}", process)
    printed = (tmp_path / "output.txt").read_text()
    assert printed.count("deepseek:x: DEEPSEEK_API_KEY is not set. Agents that use this model answer offline") == 1, (
        printed
    )
    assert "shop (offline" in printed
    assert "ERROR" not in printed


BARE = """
from pydantic_ai import Agent

agent = Agent("openai:gpt-5-mini"{more})
"""
HELPED = """
from pydantic_ai import Agent

from layercode_app import Turn, VoiceAgent

helper = Agent("deepseek:x")
agent = VoiceAgent("shop")


@agent.on_message
async def reply(turn: Turn) -> str:
    return (await helper.run(turn.text)).output
"""


@pytest.mark.parametrize("more", ["", ", defer_model_check=True"])
@pytest.mark.slow
def test_an_agent_that_names_its_model_is_loaded_without_the_key(more: str, tmp_path: Path) -> None:
    project(tmp_path)
    (tmp_path / "agents" / "shop.py").write_text(BARE.format(more=more))
    code, printed = run("chat", "--agent", "shop", "--say", "hello", cwd=tmp_path, env=ENV)
    assert code == 0, printed
    assert "I am running offline, without a model. You said: hello" in printed
    assert printed.count("openai:gpt-5-mini: OPENAI_API_KEY is not set. Agents that use this model answer offline") == 1
    assert "ERROR" not in printed
    code, printed = run("run", "--port", "0", cwd=tmp_path, env=ENV)
    assert code == 2, printed
    assert "Error: The model of agent 'shop', openai:gpt-5-mini: OPENAI_API_KEY is not set." in printed


def test_the_model_is_the_real_one_once_its_key_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project(tmp_path)
    (tmp_path / "agents" / "shop.py").write_text(BARE.format(more=""))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    voice = discover(tmp_path / "agents").get("shop")
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    LayerCode(voice, settings=settings(tmp_path))
    assert voice.model is not None
    assert voice.model.model_name == "gpt-5-mini"


def test_run_refuses_for_a_helper_agent_too_and_chat_lets_it_answer_offline(tmp_path: Path) -> None:
    project(tmp_path)
    (tmp_path / "agents" / "shop.py").write_text(HELPED)
    code, printed = run("run", "--port", "0", cwd=tmp_path, env=ENV)
    assert code == 2, printed
    assert "A model in the agent files, deepseek:x: DEEPSEEK_API_KEY is not set." in printed
    code, printed = run("chat", "--agent", "shop", "--say", "hello", cwd=tmp_path, env=ENV)
    assert code == 0, printed
    assert "without a model. You said: hello" in printed


def test_outside_of_agent_files_a_model_still_needs_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    discover()
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UserError, match="OPENAI_API_KEY"):
        Agent("openai:gpt-5-mini")


OWN_TEST = """
async def test_it(call):
    assert (await call.say("hello")).spoken.endswith("You said: hello")
"""


@pytest.mark.slow
def test_the_fixture_loads_it_too(tmp_path: Path) -> None:
    project(tmp_path)
    (tmp_path / "agents" / "shop.py").write_text(BARE.format(more=""))
    (tmp_path / "test_it.py").write_text(OWN_TEST)
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = forked.run(command, cwd=tmp_path, env=clean_environment(), together=True)
    assert done.returncode == 0, done.stdout


def test_in_development_a_fallback_without_a_key_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    monkeypatch.delenv("DEEPSEEK_API_KEY", raising=False)
    voice = VoiceAgent("shop", Agent("openai:first"))
    fallbacks = ("deepseek:x", "openai:second")
    LayerCode(voice, settings=settings(tmp_path, fallback_models=fallbacks), offline_without_key=True)
    assert isinstance(voice.model, FallbackModel)
    assert [model.model_name for model in voice.model.models] == ["first", "second"]


def test_an_empty_key_is_missing_even_if_there_is_an_admin_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """OpenAI's client accepts OPENAI_ADMIN_KEY when it is created, but cannot call a model with it."""
    monkeypatch.setenv("OPENAI_API_KEY", "")
    for admin in ("", "test-key"):
        monkeypatch.setenv("OPENAI_ADMIN_KEY", admin)
        with pytest.raises(ConfigurationError, match=r"DEFAULT_MODEL openai:gpt-5-mini: OPENAI_API_KEY is not set\."):
            named_model("openai:gpt-5-mini", "DEFAULT_MODEL")
        project(tmp_path / (admin or "none"), shop="'openai:gpt-5-mini'")
        assert list(discover(tmp_path / (admin or "none") / "agents").keyless) == ["openai:gpt-5-mini"]


@pytest.mark.parametrize("option", ["--judge", "--caller-model"])
def test_a_script_cannot_replace_a_judge_or_a_caller(option: str, tmp_path: Path) -> None:
    caller = "caller: {goal: order}" if option == "--caller-model" else "turns: [{say: hi}]"
    (tmp_path / "calls.yaml").write_text(f"agent: echo\nscenarios: [{{name: a, {caller}}}]\n")
    code, printed = run("eval", "calls.yaml", option, "openai:gpt-5-mini", cwd=tmp_path, OPENAI_API_KEY="")
    assert code == 2, printed
    reason = f"Error: {option} openai:gpt-5-mini: OPENAI_API_KEY is not set. Set it in .env or in the environment."
    assert " ".join(printed.split()) == reason

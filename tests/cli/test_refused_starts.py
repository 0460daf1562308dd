"""`run` refuses wrong options and settings before it listens: it exits with code 2, and says what was expected."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from layercode_app import ConfigurationError, LayerCode, VoiceAgent, load_settings

from ..calling import SECRET, settings
from ..processes import run


def started(folder: Path, *arguments: str, **env: str) -> str:
    """Start the command `run`, check that it refuses to start, and return what it printed."""
    code, printed = run("run", "--agent", "echo", "--host", "127.0.0.1", "--port", "0", *arguments, cwd=folder, env=env)
    assert code == 2, printed
    assert "Traceback" not in printed
    return printed


@pytest.mark.slow
def test_the_line_that_is_to_be_pasted_is_no_secret_as_it_is(tmp_path: Path) -> None:
    printed = started(tmp_path)
    assert "LAYERCODE_WEBHOOK_SECRET=<secret>" in printed
    assert "`layercode-create-app dev` needs no secret" in printed
    (line,) = [line for line in printed.splitlines() if line.strip().startswith("LAYERCODE_WEBHOOK_SECRET=")]
    (tmp_path / ".env").write_text(f"{line}\n")
    refused = started(tmp_path)
    assert "LAYERCODE_WEBHOOK_SECRET (.env) is in quotes or angle brackets: expected the secret itself" in refused


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook_secret", "<test-from-the-dashboard>"),
        ("webhook_secret", "<test from the platform's dashboard>"),
        ("webhook_secret", f"{SECRET},<test-new>"),
        ("webhook_secret", '"test-secret'),
        ("webhook_secret", "test-secret'"),
        ("webhook_secret", "test\u2026secret"),
        ("agent_secrets", {"echo": "<test-of-this-agent>"}),
        ("agent_secrets", {"echo": ""}),
        ("api_key", "test key with spaces"),
    ],
)
def test_no_app_is_made_with_a_secret_that_can_be_none(name: str, value: object, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"argument\) .*: expected the secret itself") as caught:
        LayerCode(VoiceAgent("echo"), settings=settings(tmp_path, **{name: value}))
    assert "test" not in str(caught.value), "it is not shown"


def test_a_secret_that_is_wrong_while_agents_are_loaded_again_leaves_the_ones_there_are(tmp_path: Path) -> None:
    app = LayerCode(VoiceAgent("echo"), settings=settings(tmp_path))
    app.settings = load_settings({"webhook_secret": "<secret>"}, env_file=None, toml_file=None)
    with pytest.raises(ConfigurationError):
        app.use(VoiceAgent("other"))
    assert list(app.agents) == ["echo"]


@pytest.mark.parametrize("options", [("--store", "memory"), ()])
def test_several_workers_have_no_store_in_memory(options: tuple[str, ...], tmp_path: Path) -> None:
    env = {"LAYERCODE_WEBHOOK_SECRET": SECRET} | ({} if options else {"LAYERCODE_STORE": "memory"})
    printed = started(tmp_path, "--workers", "2", *options, **env)
    assert "--workers 2 and the store `memory` cannot be combined" in printed
    assert "Use --workers 1, or another LAYERCODE_STORE" in " ".join(printed.split())


def test_several_workers_are_not_reloaded(tmp_path: Path) -> None:
    printed = started(tmp_path, "--workers", "2", "--reload", LAYERCODE_WEBHOOK_SECRET=SECRET)
    assert "--workers 2 and --reload cannot be combined" in printed


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS uses UTF-8 in every locale")
def test_a_value_that_the_locale_cannot_encode_is_named_with_the_remedy_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LAYERCODE_WEBHOOK_SECRET=test\nLAYERCODE_BUSY=Ausgebucht, schöne Grüße\n", "utf-8")
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code, printed = run("run", "--agent", "echo", "--port", "0", cwd=tmp_path, cold=True, env=ascii_only)
    assert code == 2, printed
    assert "Error: LAYERCODE_BUSY in .env has characters that ascii, the encoding of this locale, does not" in printed
    assert "PYTHONUTF8=1" in printed
    assert "Traceback" not in printed
    assert "Ausgebucht" not in printed

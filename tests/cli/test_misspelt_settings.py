"""All settings with a wrong name or value are reported at once, each with the most similar name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from layercode_app import ConfigurationError, load_settings
from layercode_app.cli.main import app

from ..calling import SECRET
from ..ports import free_port
from ..processes import command, listening, run

pytestmark = pytest.mark.anyio

ENV_FILE = """# mine
LAYERCODE_WEBHOOK_SECRETS=test-secret
DEFALT_MODEL=openai:gpt-5-mini

LAYERCODE_STORE='sqlite:///unclosed
OPENAI_API_KEY=test-key
SOMETHING_ELSE=1
"""
TOML = 'log_levle = "INFO"\nport = 8000\n'
SAID = (
    "LAYERCODE_WEBHOOK_SECRETS (.env, line 2) is not a setting and is ignored. Did you mean LAYERCODE_WEBHOOK_SECRET?",
    "DEFALT_MODEL (.env, line 3) is not a setting and is ignored. Did you mean DEFAULT_MODEL?",
    ".env, line 5 cannot be read and is ignored: expected NAME=value, with any quotes closed.",
    "LAYERCODE_FILER (environment) is not a setting and is ignored. Did you mean LAYERCODE_FILLER?",
    "log_levle (layercode.toml) is not a setting and is ignored. Did you mean log_level?",
)
NOT_SAID = ("OPENAI_API_KEY", "SOMETHING_ELSE", "NEXT_PUBLIC", "python-dotenv", "port (", "SECRETS (environment)")
ENV = {"LAYERCODE_WEBHOOK_SECRET": SECRET, "LAYERCODE_STORE": "memory", "LAYERCODE_FILER": "off"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".env").write_text(ENV_FILE + "NEXT_PUBLIC_LAYERCODE_AGENT_ID=ag-1\n")
    (tmp_path / "layercode.toml").write_text(TOML)
    return tmp_path


@pytest.mark.parametrize("name", ["run", "dev"])
async def test_run_and_dev_name_each_of_them_once(name: str, project: Path) -> None:
    port = free_port()
    options = ("--host", "127.0.0.1", "--agent", "echo") if name == "run" else ()
    async with command(name, "--port", str(port), *options, cwd=project, env=ENV) as process:
        await listening(f"http://127.0.0.1:{port}", process)
    printed = (project / "output.txt").read_text()
    assert {said: printed.count(said) for said in SAID} == dict.fromkeys(SAID, 1), printed
    assert [said for said in NOT_SAID if said in printed] == []


def test_doctor_names_them(project: Path) -> None:
    _, printed = run("doctor", "--offline", "--json", cwd=project, env=ENV)
    found = json.loads(printed[printed.index("{") :])["checks"]
    assert [row["detail"] for row in found if row["name"] == "settings" and row["state"] == "warning"] == list(SAID)
    assert [row["detail"] for row in found if row["name"] == "agent id"] == ["ag-1"]


def test_all_wrong_values_are_told_at_once(tmp_path: Path) -> None:
    code, printed = run("run", "--agent", "echo", cwd=tmp_path, env=ENV, PORT="many", LOG_LEVEL="loud")
    assert code == 2, printed
    assert "The setting PORT is wrong" in printed
    assert "The setting LOG_LEVEL is wrong: expected one of" in " ".join(printed.split())


@pytest.mark.parametrize(
    ("text", "agent_id"),
    [
        ("NEXT_PUBLIC_LAYERCODE_AGENT_ID=ag-1\n", "ag-1"),
        ("VITE_LAYERCODE_AGENT_ID=ag-1\nLAYERCODE_AGENT_ID=ag-2\n", "ag-2"),
        ("NEXT_PUBLIC_LAYERCODE_AGENT_ID=\n", None),
        ("LAYERCODE_AGENT_ID_OLD=ag-3\n", None),
    ],
)
def test_the_agents_id_is_found_under_a_prefix(
    text: str, agent_id: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LAYERCODE_AGENT_ID", raising=False)
    (tmp_path / ".env").write_text(text)
    settings = load_settings(env_file=tmp_path / ".env", toml_file=None)
    assert settings.agent_id == agent_id
    assert settings.sources["agent_id"] == (str(tmp_path / ".env") if agent_id else "default")


@pytest.mark.parametrize(
    ("name", "content"),
    [(".env", b"A=\xff\n"), ("layercode.toml", b"port = = 1\n"), ("layercode.toml", b"# \xff\n")],
)
def test_a_file_that_cannot_be_read_is_named(
    name: str, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"The settings in {name} could not be read"):
        load_settings()
    assert "Traceback" not in CliRunner().invoke(app, ["doctor", "--offline"]).output

"""The table of settings: precedence, sources, and error messages that name the setting and never a secret."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from layercode_app import ConfigurationError
from layercode_app.settings import Settings, env_example, export_env_file, ignored_settings, load_settings
from layercode_app.settings.table import env_name

from .permissions import OBEYING, needs_permissions

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _empty_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("PORT", "LOG_LEVEL", "LAYERCODE_WEBHOOK_SECRET", "SERVICE_NAME", "DEFAULT_MODEL"):
        monkeypatch.delenv(name, raising=False)


def test_argument_beats_environment_beats_env_file_beats_toml_beats_default(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    seen.append((load_settings().port, load_settings().sources["port"]))
    Path("layercode.toml").write_text("port = 1\n")
    seen.append((load_settings().port, load_settings().sources["port"]))
    Path(".env").write_text("PORT=2\n")
    seen.append((load_settings().port, load_settings().sources["port"]))
    monkeypatch.setenv("PORT", "3")
    seen.append((load_settings().port, load_settings().sources["port"]))
    given = load_settings({"port": 4})
    seen.append((given.port, given.sources["port"]))
    assert seen == [(8000, "default"), (1, "layercode.toml"), (2, ".env"), (3, "environment"), (4, "argument")]


def test_an_argument_that_is_none_counts_as_not_given() -> None:
    assert load_settings({"port": None}).port == 8000


def test_secrets_rotate_and_an_agents_own_secret_is_the_only_one_it_accepts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERCODE_WEBHOOK_SECRET", "test-new, test-old")
    monkeypatch.setenv("LAYERCODE_AGENT_SECRETS", '{"shop": "test-shop"}')
    settings = load_settings()
    assert settings.secrets_for("echo") == ("test-new", "test-old")
    assert settings.secrets_for("shop") == ("test-shop",)
    assert "test-" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "many"), ("LOG_LEVEL", "banana"), ("LAYERCODE_AGENT_ROUTE", "api"), ("LOG_FORMAT", "xml")],
)
def test_a_malformed_value_names_its_setting(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name):
        load_settings()


@pytest.mark.parametrize(
    ("names", "values"),
    [
        ("TURN_TIMEOUT TOOL_TIMEOUT HOOK_TIMEOUT API_TIMEOUT TUNNEL_TIMEOUT", "0 -1 nan inf"),
        ("BODY_TIMEOUT HEADER_TIMEOUT UNREAD_TIMEOUT ALERT_INTERVAL", "0 -1 nan inf"),
        ("BODY_LIMIT HEADER_LIMIT AUTHORIZE_BODY_LIMIT", "0 -1"),
        ("PIECE_TIMEOUT FIRST_TOKEN_TIMEOUT HEDGE_AFTER RETENTION_DAYS DRAIN_SECONDS", "-1 nan inf"),
        ("MODEL_KEEP_ALIVE JUDGE_MAX_COST SLOW_TURN BUDGET_WARNING", "-1 nan inf"),
        ("MAX_TURNS KEEP_ALIVE HISTORY_TOKENS", "-1"),
    ],
)
def test_a_number_out_of_range_names_its_setting_and_what_was_expected(
    names: str, values: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in names.split():
        for value in values.split():
            monkeypatch.setenv(f"LAYERCODE_{name}", value)
            message = f"The setting LAYERCODE_{name} is wrong: Input should be .*; it is '{value}'"
            with pytest.raises(ConfigurationError, match=message):
                load_settings()
        monkeypatch.delenv(f"LAYERCODE_{name}")


def test_a_wrong_number_of_the_toml_file_is_told_although_it_is_the_limit() -> None:
    Path("layercode.toml").write_text("turn_timeout = 0\n")
    with pytest.raises(ConfigurationError, match=r"LAYERCODE_TURN_TIMEOUT is wrong: .* greater than 0; it is 0"):
        load_settings()


@pytest.mark.parametrize(
    "name", ["PIECE_TIMEOUT", "FIRST_TOKEN_TIMEOUT", "HEDGE_AFTER", "RETENTION_DAYS", "MAX_TURNS", "DRAIN_SECONDS"]
)
def test_zero_turns_a_setting_off(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"LAYERCODE_{name}", "0")
    assert getattr(load_settings(), name.lower()) == 0


def test_every_number_has_a_range() -> None:
    numbers = {name: info for name, info in Settings.model_fields.items() if info.annotation in (int, float)}
    assert [name for name, info in numbers.items() if not info.metadata] == ["trace_rate"]  # `check_telemetry_settings`


def test_an_env_file_that_is_named_must_exist() -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.env"):
        load_settings(env_file="nowhere.env")


def test_a_providers_key_in_the_env_file_reaches_its_sdk_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import os

    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/own")
    monkeypatch.setenv("OPENAI_API_KEY", "")
    monkeypatch.delenv("OPENAI_API_KEY")
    Path(".env").write_text("OPENAI_API_KEY=test-key\nOPENAI_BASE_URL=http://127.0.0.1:1/file\n")
    export_env_file()
    assert os.environ["OPENAI_API_KEY"] == "test-key"
    assert os.environ["OPENAI_BASE_URL"].endswith("/own")


def test_an_env_file_that_is_not_utf_8_is_refused_and_the_environment_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    Path(".env").write_text("OPENAI_API_KEY=other-key\n", encoding="utf-16")
    with pytest.raises(ConfigurationError, match=r"The settings in .env could not be read: 'utf-8' .* as UTF-8"):
        export_env_file(exported={"OPENAI_API_KEY": "test-key"})
    assert os.environ["OPENAI_API_KEY"] == "test-key"


def test_the_example_is_made_from_the_table() -> None:
    assert (ROOT / ".env.example").read_text() == env_example()


def test_every_row_has_a_description_and_a_variable() -> None:
    from layercode_app.settings import env_name

    rows = Settings.model_fields.values()
    assert all(info.description and env_name(info) for info in rows)
    names = [env_name(info) for info in rows]
    assert len(names) == len(set(names))


WITH_EMPTY = {
    env_name(info): name
    for name, info in Settings.model_fields.items()
    if "empty" in (info.description or "") and info.default not in ("", None, (), {})
}
"""The settings that have a non-empty default, and whose description mentions an empty value."""


@pytest.mark.parametrize("variable", WITH_EMPTY)
@pytest.mark.parametrize("where", ["environment", ".env"])
def test_a_setting_that_is_said_to_take_an_empty_value_takes_it(
    variable: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert getattr(load_settings(), WITH_EMPTY[variable]) != ""
    if where == "environment":
        monkeypatch.setenv(variable, "")
    else:
        Path(".env").write_text(f"{variable}=\n")
    settings = load_settings()
    assert getattr(settings, WITH_EMPTY[variable]) == ""
    assert settings.sources[WITH_EMPTY[variable]] == where


def test_an_empty_log_dir_is_a_value(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOG_DIR", "")
    settings = load_settings(env_file=None, toml_file=None)
    assert settings.log_dir == ""
    assert settings.sources["log_dir"] == "environment"
    monkeypatch.delenv("LOG_DIR")
    (tmp_path / "own.env").write_text("LOG_DIR=\n")
    assert load_settings(env_file=tmp_path / "own.env", toml_file=None).log_dir == ""
    assert load_settings({"log_dir": "given"}, env_file=tmp_path / "own.env", toml_file=None).log_dir == "given"


@pytest.mark.parametrize("name", [".env", "layercode.toml"])
def test_a_settings_file_that_is_not_utf8_is_named(name: str) -> None:
    Path(name).write_bytes(b"# caf\xe9\n")
    with pytest.raises(
        ConfigurationError, match=rf"The settings in {name} could not be read: .* Save the file as UTF-8"
    ):
        load_settings()
    with pytest.raises(ConfigurationError, match=name):
        ignored_settings()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_an_env_file_that_is_a_named_pipe_is_read_once() -> None:
    os.mkfifo(".env")
    writer = Thread(target=Path(".env").write_text, args=("LOG_LEVEL=ERROR\nLOG_LEVLE=INFO\n",))
    writer.start()
    settings = load_settings()
    writer.join()
    assert (settings.log_level, settings.sources["log_level"]) == ("ERROR", ".env")
    assert load_settings(env_file=Path(".env").absolute()).log_level == "ERROR"
    assert "LOG_LEVLE (.env, line 2) is not a setting" in ignored_settings()[0]


def test_a_folder_is_no_settings_file() -> None:
    Path(".env").mkdir()
    assert load_settings().sources["log_level"] == "default"


def test_a_byte_order_mark_is_ignored() -> None:
    for name, text in {".env": "LOG_LEVEL=DEBUG\n", "layercode.toml": "port = 1\n"}.items():
        Path(name).write_text(text, encoding="utf-8-sig")
    settings = load_settings()
    assert (settings.log_level, settings.sources["log_level"]) == ("DEBUG", ".env")
    assert (settings.port, settings.sources["port"]) == (1, "layercode.toml")
    assert ignored_settings() == []


def test_a_value_that_is_not_json_names_its_variable_and_never_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERCODE_ALERTS", "not json")
    message = "The setting LAYERCODE_ALERTS is wrong: expected a JSON list such as .*; it is 'not json'"
    with pytest.raises(ConfigurationError, match=message):
        load_settings()
    monkeypatch.delenv("LAYERCODE_ALERTS")
    Path(".env").write_text("LAYERCODE_CHANNELS=json://secret\n")
    with pytest.raises(ConfigurationError, match="The setting LAYERCODE_CHANNELS is wrong: expected a JSON") as caught:
        load_settings()
    assert "secret" not in str(caught.value)


def test_the_source_of_a_variable_in_lower_case_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("log_level=ERROR\nlog_dir=\n")
    settings = load_settings()
    assert (settings.log_level, settings.sources["log_level"]) == ("ERROR", ".env")
    assert (settings.log_dir, settings.sources["log_dir"]) == ("", ".env")
    monkeypatch.setenv("log_level", "DEBUG")
    settings = load_settings()
    assert (settings.log_level, settings.sources["log_level"]) == ("DEBUG", "environment")


@needs_permissions
@pytest.mark.parametrize("name", [".env", "layercode.toml", ".layercode"])
@pytest.mark.parametrize("command", ["report", "sessions list", "doctor --offline"])
def test_a_file_without_permission_is_an_error_that_names_it(name: str, command: str) -> None:
    path = Path(name)
    path.mkdir() if name == ".layercode" else path.touch()
    path.chmod(0)
    run = [*OBEYING, sys.executable, "-m", "layercode_app", *command.split()]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    path.chmod(0o700)
    printed = done.stdout + done.stderr
    assert name in printed
    assert "Permission denied" in printed
    assert "Traceback" not in printed
    assert done.returncode == (1 if "doctor" in command else 2)


def test_variables_of_other_programs_set_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("STORE=memory\nagent_id=foreign\n")
    monkeypatch.setenv("API_KEY", "test-of-another-program")
    monkeypatch.setenv("webhook_secret", "test-of-another-program")
    loaded = load_settings({"apology": "Sorry!"}, env_file=file, toml_file=None)
    plain = load_settings(env_file=None, toml_file=None)
    assert (loaded.api_key, loaded.webhook_secret, loaded.agent_id) == (None, (), None)
    assert (loaded.store, loaded.apology) == (plain.store, "Sorry!")
    found = {loaded.sources[name] for name in ("api_key", "webhook_secret", "agent_id", "store")}
    assert (found, loaded.sources["apology"]) == ({"default"}, "argument")


@pytest.mark.parametrize("name", ["turn_timeout", "LAYERCODE_TURN_TIMEOUT"])
def test_the_toml_file_may_name_the_setting_or_its_variable(name: str) -> None:
    Path("layercode.toml").write_text(f"{name} = 5\n")
    settings = load_settings()
    assert (settings.turn_timeout, settings.sources["turn_timeout"]) == (5, "layercode.toml")

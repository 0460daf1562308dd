"""Alert rules are read from layercode.toml. A wrong rule causes one clear error, which names the setting."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

import layercode_app
from layercode_app import ConfigurationError, load_settings
from layercode_app.watch.rules import rules_of

CHANNELS = {"ops": "json://127.0.0.1:1/hook"}


def rule(**changes: Any) -> Any:
    given = {"name": "r", "when": "error_rate > 5%", "window": "10m", "channels": ["ops"], **changes}
    given = {key: value for key, value in given.items() if value is not None}
    values = {"channels": CHANNELS, "alerts": [given]}
    return rules_of(load_settings(values, env_file=None, toml_file=None))[0]


def test_rules_and_channels_are_read_from_the_toml_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_TOKEN", "test-token")
    path = tmp_path / "layercode.toml"
    path.write_text(
        'channels.ops = "json://127.0.0.1:1/${HOOK_TOKEN}"\n'
        '[[alerts]]\nname = "slow"\nwhen = "p95(total) > 2s"\nwindow = "10m"\nchannels = ["ops"]\nat_least = 20\n'
    )
    settings = load_settings(env_file=None, toml_file=path)
    [found] = rules_of(settings)
    assert (found.metric, found.of, found.limit, found.window, found.at_least) == ("p95", "total", 2000, 600, 20)
    assert "test-token" not in repr(settings)


def test_the_commented_defaults_are_valid_once_uncommented(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", "json://127.0.0.1:1/slack")
    monkeypatch.setenv("MAIL_USER", "test-user")
    monkeypatch.setenv("MAIL_PASSWORD", "test-password")
    template = Path(layercode_app.__file__).parent / "scaffold/templates/project/layercode.toml.jinja"
    lines = template.read_text().splitlines()
    assert all(line.startswith("#") for line in lines if line)
    begin = next(number for number, line in enumerate(lines) if line.startswith("# [channels]"))
    text = "\n".join(line.removeprefix("# ").removeprefix("#") for line in lines[begin:])
    path = tmp_path / "layercode.toml"
    path.write_text(text)
    assert set(tomllib.loads(text)) == {"channels", "alerts"}
    rules = rules_of(load_settings(env_file=None, toml_file=path))
    assert [(rule.name, rule.limit, rule.window) for rule in rules] == [
        ("errors", 0.05, 600),
        ("slow", 2000, 600),
        ("tokens", 1e6, 3600),
    ]


@pytest.mark.parametrize(
    ("when", "limit", "baseline"),
    [
        ("cost > $20", 20, None),
        ("cost > 20", 20, None),
        ("error_rate > 0.05", 0.05, None),
        ("error_rate >= 100%", 1, None),
        ("turns < 1k", 1000, None),
        ("cost > 3 x baseline(7d)", 3, 604_800),
        ("tokens >= 1.5M", 1.5e6, None),
        ("p99(ttfs) > 800ms", 800, None),
        ("score(feedback) < 0.5", 0.5, None),
        ("errors(rate_limit)>3", 3, None),
        ("bad_signatures > 20", 20, None),
        ("count(orders) < 1", 1, None),
        ("count( orders, size=large ) < 1", 1, None),
        ("score(Was it booked (or not)?) < 0.5", 0.5, None),
        ("cpu > 90%", 0.9, None),
        ("network > 10M", 1e7, None),
    ],
)
def test_conditions(when: str, limit: float, baseline: float | None) -> None:
    found = rule(when=when)
    assert (found.limit, found.baseline) == (limit, baseline)


@pytest.mark.parametrize(
    ("when", "of"),
    [
        ("outcomes( table booked ) > 0", "table booked"),
        ("score(Was the total (with tax) told?) < 0.8", "Was the total (with tax) told?"),
        ("count( orders , size = very large ) > 0", "orders,size=very large"),
    ],
)
def test_a_name_in_brackets_keeps_its_own_spaces(when: str, of: str) -> None:
    assert rule(when=when).of == of


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"when": "happiness > 5"}, "LAYERCODE_ALERTS.*'r'.*'happiness' is not known"),
        ({"when": "error_rate is high"}, "not a condition"),
        ({"when": "error_rate > lots"}, "'lots' is not a limit"),
        ({"when": "p95(total) > 2"}, "is a time"),
        ({"when": "p95(total) > 2%"}, "is a time"),
        ({"when": "error_rate > 5"}, "'5': error_rate is a share; expected a limit such as 5%"),
        ({"when": "success_rate < 200%"}, "is a share"),
        ({"when": "error_rate > 2s"}, "is a share"),
        ({"when": "tokens > $5"}, "tokens has no \\$; expected a limit such as 20 or 1M"),
        ({"when": "cost > 5s"}, "cost has no s; expected a limit such as \\$20"),
        ({"window": "0m"}, "'0m' is empty"),
        ({"when": "p95(speed) > 2s"}, "expected ttfs, ttft, total"),
        ({"when": "turns(x) > 2"}, "expected nothing in the brackets"),
        ({"window": "soon"}, "window 'soon': expected a duration"),
        ({"when": "cost > 3 x baseline(long)"}, "baseline 'long'"),
        ({"window": None}, "window is missing"),
        ({"channels": ["pager"]}, "channel 'pager', which does not exist. Existing channels: ops"),
        ({"at_least": "many"}, "at_least is 'many'"),
        ({"at_least": True}, "at_least is True"),
        ({"when": "cpu > 90%", "at_least": 5}, "at_least is set, but cpu is not a metric of turns. Remove at_least"),
        ({"when": "bad_signatures > 5", "agent": "shop"}, "agent is set, but bad_signatures is not a metric of turns"),
        ({"severity": "high"}, "severity is 'high'; expected info, warning, critical"),
        ({"mood": "high"}, "unknown mood"),
        ({"when": "count > 3"}, "expected a counter"),
        ({"when": "count(orders, size) > 3"}, "expected a counter"),
        ({"when": "cpu > 90"}, "is a share"),
        ({"when": "cpu(0) > 90%"}, "expected nothing in the brackets"),
    ],
)
def test_a_wrong_rule_names_the_setting_the_rule_and_the_mistake(changes: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match="LAYERCODE_ALERTS") as error:
        rule(**changes)
    assert error.match(message)


@pytest.mark.parametrize("url", ["banana", "slack://banana", "json://${NOT_SET_ANYWHERE}"])
def test_a_channel_that_cannot_work_is_named_without_its_address(url: str) -> None:
    settings = load_settings({"channels": {"ops": url}}, env_file=None, toml_file=None)
    with pytest.raises(ConfigurationError, match=r"LAYERCODE_CHANNELS.*'ops'") as error:
        rules_of(settings)
    assert "slack://banana" not in str(error.value)


def test_two_rules_of_one_name_are_refused() -> None:
    one = {"name": "twice", "when": "turns > 1", "window": "1m", "channels": ["ops"]}
    settings = load_settings({"channels": CHANNELS, "alerts": [one, one]}, env_file=None, toml_file=None)
    with pytest.raises(ConfigurationError, match="twice"):
        rules_of(settings)

"""A known name is suggested for a misspelt or shortened form of it, but never for another, similar word."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from layercode_app.cli.main import app
from layercode_app.nearest import nearest
from layercode_app.settings import Settings, env_name

SETTINGS = [name for info in Settings.model_fields.values() if (name := env_name(info))]


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("dve", ["dev", "doctor"], "dev"),
        ("bakerry", ["bakery", "echo"], "bakery"),
        ("outdoorshop", ["outdoor_shop"], "outdoor_shop"),
        ("outdor-shp", ["outdoor_shop"], "outdoor_shop"),
        ("Bakery", ["bakery"], "bakery"),
        ("LAYERCODE_FILER", SETTINGS, "LAYERCODE_FILLER"),
        ("LAYERCODE_API_KY", SETTINGS, "LAYERCODE_API_KEY"),
        ("log_levle", ["log_level", "log_dir"], "log_level"),
        ("deploy", ["replay", "report"], ""),
        ("host", ["port", "stt"], ""),
        ("LAYERCODE_KEY", SETTINGS, ""),
        ("LAYERCODE_TIMEOUT", SETTINGS, ""),
        ("LAYERCODE_TURN_APOLOGY", SETTINGS, ""),
        ("anything", [], ""),
        ("", ["dev"], ""),
    ],
)
def test_a_typo_is_known_and_another_word_is_not(name: str, known: list[str], meant: str) -> None:
    assert nearest(name, known) == meant


def test_a_beginning_is_taken_where_it_is_asked_for_and_clear() -> None:
    assert nearest("mod", ["model", "port"]) == ""
    assert nearest("mod", ["model", "port"], beginnings=True) == "model"
    assert nearest("mod", ["model", "module"], beginnings=True) == ""


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["agent"], "'agents'"), (["create"], "'new'"), (["serve"], "'run'"), (["sessions", "lst"], "'list'"),
        (["platform", "agents", "creat"], "'create'"), (["run", "--prot", "1"], "--port"), (["run", "--mod", "x"], "--model"),
    ],
)  # fmt: skip
def test_a_command_or_an_option_that_was_meant_is_named(typed: list[str], meant: str) -> None:
    told = CliRunner().invoke(app, typed)
    assert told.exit_code == 2
    assert f"Did you mean {meant}?" in told.output


@pytest.mark.parametrize("typed", [["deploy"], ["creat-it"], ["dev", "--host", "x"], ["run", "--worker-class", "x"]])
def test_nothing_else_is_suggested(typed: list[str]) -> None:
    told = CliRunner().invoke(app, typed)
    assert told.exit_code == 2
    assert "No such" in told.output
    assert "Did you mean" not in told.output
    assert "Possible" not in told.output

"""The reference is complete: it shows every command, setting, name, metric, attribute and field."""

from __future__ import annotations

import ast
import importlib
import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from docsite.docstrings import class_text
from docsite.navigation import title_of
from docsite.reference import PAGES, agents, api, commands, errors, record, settings, telemetry, wire
from docsite.reference.telemetry_texts import ATTRIBUTES, FIELDS
from layercode_app import exceptions
from layercode_app.cli.main import app
from layercode_app.journal.record import ModelCall, Speech, Stage, ToolCall, TurnRecord
from layercode_app.observability import metrics
from layercode_app.observability.errors import CATEGORIES
from layercode_app.settings import Settings, env_name
from layercode_app.webhook import SessionEnd, events

from ..imports import modules
from ..processes import ROOT


def _cells(page: str) -> set[str]:
    """Every inline code of a page."""
    return set(re.findall(r"(?<!`)`([^`\n]+)`(?!`)", page))


# --- commands


def _every_command(group: TyperGroup, words: str = "") -> Iterator[tuple[str, object]]:
    for name, command in group.commands.items():
        if not command.hidden:
            yield f"{words} {name}".strip(), command
            if isinstance(command, TyperGroup):
                yield from _every_command(command, f"{words} {name}".strip())


def test_every_command_has_a_section_with_all_its_options() -> None:
    sections = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", commands.page(), re.MULTILINE | re.DOTALL))
    found = dict(_every_command(get_command(app)))  # type: ignore[arg-type]
    assert list(sections) == list(found)
    for name, command in found.items():
        spelled = {text for one in command.params for text in [*one.opts, *one.secondary_opts]}  # type: ignore[attr-defined]
        missing = {text for text in spelled if text.startswith("-")} - _cells(sections[name])
        assert missing == set(), f"{name}: {missing}"


def test_every_command_and_option_says_what_it_does() -> None:
    for name, command in _every_command(get_command(app)):  # type: ignore[arg-type]
        silent = [one.name for one in command.params if not one.hidden and not one.help]  # type: ignore[attr-defined]
        assert command.help, name  # type: ignore[attr-defined]
        assert silent == [], name


# --- settings


def test_every_setting_is_shown_under_both_names() -> None:
    shown = _cells(settings.page())
    named = {name for key, info in Settings.model_fields.items() for name in (key, env_name(info))}
    assert named - shown == set()


# --- the Python API


@pytest.mark.parametrize("package", api.INTRODUCTIONS)
@pytest.mark.slow
def test_every_public_name_is_shown_with_its_text(package: str) -> None:
    page = {
        "layercode_app": api.package_page,
        "layercode_app.collect": api.collect_page,
        "layercode_app.testing": api.testing_page,
    }[package]()
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    exported = {name for name in importlib.import_module(package).__all__ if not name.startswith("__")}
    assert set(sections) == exported
    without = [name for name, text in sections.items() if not re.sub(r"```.*?```", "", text, flags=re.DOTALL).strip()]
    assert without == []


def test_methods_are_shown_with_their_parameters() -> None:
    page = api.package_page()
    assert "### VoiceAgent.on_message" in page
    assert "hedge_after: float | None = None" in page
    assert "### Turn.say" in page


# --- the wire and the record


def test_every_event_and_frame_is_shown() -> None:
    page = wire.page()
    for kind, event in events._KNOWN.items():
        assert f"### `{kind}`" in page
        assert event.model_fields.keys() - _cells(page) == set()
    assert class_text(SessionEnd) in page
    for kind in ("response.tts", "response.data", "response.end", "response.hangup", "response.error"):
        assert f"### `{kind}`" in page


@pytest.mark.parametrize("part", [TurnRecord, Speech, ToolCall, Stage, ModelCall])
def test_every_field_of_the_record_has_a_meaning(part: type) -> None:
    section = re.search(
        rf"^## {'Fields' if part is TurnRecord else part.__name__}\n(.*?)(?=^## |\Z)",
        record.page(),
        re.MULTILINE | re.DOTALL,
    )
    assert section is not None
    rows = dict(re.findall(r"^\| `(\w+)` \| .*? \| ([^|]*) \|$", section[1], re.MULTILINE))
    assert {one.name for one in fields(part)} - rows.keys() == set()
    assert [name for name, meaning in rows.items() if not meaning] == []


# --- metrics, spans, log fields, errors


def test_every_metric_is_shown() -> None:
    shown = _cells(telemetry.page())
    declared = {one.name for one in vars(metrics).values() if isinstance(one, metrics.Metric)}
    assert declared == {one.name for one in metrics.TABLE}
    assert declared - shown == set()


ATTRIBUTE = re.compile(r"(layercode|gen_ai|http|url|error|server|client)\.[a-z_.]*[a-z_]")


def _set_attributes(tree: ast.Module) -> Iterator[str]:
    """Yield possible names of span attributes in a module: keys of dictionaries, and arguments of `set_attribute`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            yield from (key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "set_attribute":
            assert isinstance(node.args[0], ast.Constant)
            yield str(node.args[0].value)


NOT_OURS = {"server.app", "error.category", "layercode.removed"}
"""Keys that only look like span attributes: a module's name, a tag in Sentry, and the marker of a removed field."""


def test_every_span_attribute_is_shown_and_none_that_is_gone() -> None:
    emitted = {
        name
        for module, tree in modules()
        if not module.startswith(("emulator/", "cli/"))
        for name in _set_attributes(tree)
        if ATTRIBUTE.fullmatch(name)
    } - NOT_OURS
    assert emitted == ATTRIBUTES.keys()


def _fields_of(tree: ast.AST) -> Iterator[str]:
    """Yield the names of log fields: the keys of dictionaries, and keys to which a value is assigned."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            yield from (key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str))
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and isinstance(node.slice, ast.Constant):
            yield str(node.slice.value)


WRITES_FIELDS = {
    "observability/turns": ("log_line", "_some", "_add_request"),
    "observability/json_lines": ("line_of", "write_plain", "_same"),
    "observability/context": ("ids",),
    "observability/setup": ("_common",),
    "server/requests": ("_log",),
}
"""The functions that put fields on log lines, besides `logger.bind(name=value)`."""
INSIDE = {"usage", "cost", "type", "traceback"}
"""Keys of the objects in `models` and `exception`."""


def _logged() -> set[str]:
    found: set[str] = set()
    seen = set()
    for module, tree in modules():
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        for function in functions:
            if function.name in WRITES_FIELDS.get(module.removesuffix(".py"), ()):
                seen.add((module.removesuffix(".py"), function.name))
                found |= set(_fields_of(function))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("logger.bind"):
                found |= {word.arg for word in node.keywords if word.arg}
    assert seen == {(module, name) for module, names in WRITES_FIELDS.items() for name in names}
    return found


@pytest.mark.slow
def test_every_log_field_is_shown_and_none_that_is_gone() -> None:
    logged = _logged()
    assert logged - INSIDE - FIELDS.keys() == set()
    assert FIELDS.keys() - logged == set()


def test_every_log_field_is_a_column_in_lnav() -> None:
    described = json.loads((ROOT / "docs/lnav/layercode.json").read_text())["layercode_log"]
    columns = {described["timestamp-field"], *(name.partition("/")[0] for name in described["value"])}
    assert columns == set(FIELDS)


def test_every_error_class_and_category_is_shown() -> None:
    page = errors.page()
    assert {one.__name__ for one in errors.classes()} - _cells(page) == set()
    assert {name for name in vars(exceptions) if name.endswith("Error")} - _cells(page) == set()
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", page, re.MULTILINE)
    assert {name for name, *_ in rows} >= set(CATEGORIES)
    assert [name for name, *texts in rows if not all(text.strip() for text in texts)] == []


# --- all of it


def test_every_generated_page_has_a_title(tmp_path: Path) -> None:
    for name, page in PAGES.items():
        (path := tmp_path / f"{name}.md").write_text(page(), encoding="utf-8")
        assert title_of(path)


def test_every_included_agent_is_shown_with_its_prompt() -> None:
    pages = agents.pages()
    assert {"agent-bakery.md", "agent-echo.md", "agent-outdoor-shop.md"} <= pages.keys()
    assert "## prompts/bakery.md" in pages["agent-bakery.md"]

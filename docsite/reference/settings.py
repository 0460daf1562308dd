"""Write the reference page of the settings from the fields of `Settings`."""

from __future__ import annotations

from itertools import groupby

from pydantic.fields import FieldInfo

from layercode_app.settings import Settings, env_name

from ..markdown import code, escaped, table

INTRODUCTION = """# Settings

A setting may have a value in several places. The first of these places counts: an argument of `load_settings` or an
option of the command, then the environment, `.env`, `layercode.toml`, and the default. In `layercode.toml`, a setting
has the name in the third column. `layercode-create-app doctor` shows the value of each setting and where the value
comes from.

The client libraries of model providers read variables that are not listed here, such as `OPENAI_API_KEY` and
`OPENAI_BASE_URL`. OpenTelemetry reads the variables that begin with `OTEL_`.
"""


def page() -> str:
    """Return the page: a table for each section."""
    rows = [(_section(info), name, info) for name, info in Settings.model_fields.items()]
    parts = [INTRODUCTION]
    for section, found in groupby(rows, key=lambda row: row[0]):
        parts.append(f"## {section}\n")
        parts.append(table(("variable", "what it does", "name", "default"), (_row(*row[1:]) for row in found)))
    return "\n".join(parts)


def _section(info: FieldInfo) -> str:
    assert isinstance(info.json_schema_extra, dict)
    return str(info.json_schema_extra["section"])


def _row(name: str, info: FieldInfo) -> tuple[str, ...]:
    return code(env_name(info)), escaped(info.description or ""), code(name), _default(info.default)


def _default(value: object) -> str:
    if value is None or value in ((), {}, ""):
        return "none"
    if isinstance(value, tuple):
        return code(",".join(map(str, value)))
    return code(str(value).lower() if isinstance(value, bool) else value)

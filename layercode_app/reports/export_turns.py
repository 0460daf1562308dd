"""Export the turns of a period from the journal, one row per turn, as JSON lines or Parquet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from ..exceptions import ConfigurationError
from ..journal.record import Json, TurnRecord
from ..journal.record_json import from_json, to_json
from ..journal.stores.base import Store
from ..observability.privacy import caller_secrets
from ..observability.privacy.masked_export import redact
from ..output.terminal import print_file
from ..output.visible import json_text
from ..settings.folders import make_private
from .conversations import turn_json

_OURS = ("conversation_id", "turn_id", "session_id", "trace_id", "version", "usage", "started_at")
"""Columns that are never masked, because they have no words of the caller."""
ROWS = 500
"""The number of rows in one group of a Parquet file. Rows are buffered in memory until their group is complete."""


async def rows_of(store: Store, since: float, *, redacted: bool) -> AsyncIterator[Json]:
    """Yield a row for each turn and other event since a time (epoch seconds), oldest first.

    `redacted` masks personal details.
    """
    async for record in store.turns(since=since, bodies=False):
        yield _row(record, redacted=redacted)


def _row(record: TurnRecord, *, redacted: bool) -> Json:
    row = from_json(to_json({"conversation_id": record.conversation_id} | turn_json(record)))
    if not redacted:
        return row
    with caller_secrets.only([record.metadata]):
        return redact(row) | {name: row[name] for name in _OURS}


async def write_jsonl(rows: AsyncIterator[Json], output: Path) -> int:
    """Write one JSON object per line, to stdout if `output` is `-`; return the number of rows."""
    count = 0
    if output == Path("-"):
        async for row in rows:
            print_file(json_text(row) + "\n")
            count += 1
        return count
    make_private(output)
    with output.open("w", encoding="utf-8") as file:
        async for row in rows:
            file.write(json_text(row) + "\n")
            count += 1
    return count


async def write_parquet(rows: AsyncIterator[Json], output: Path) -> int:
    """Write a Parquet file and return the number of rows. Lists and objects become JSON text.

    Raises ConfigurationError if pyarrow is not installed.
    """
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise ConfigurationError("--format parquet needs pyarrow: pip install 'layercode-app[parquet]'") from None
    make_private(output)
    schema = arrow.schema([(name, getattr(arrow, type_)()) for name, type_ in _columns().items()])
    count, group = 0, []
    with parquet.ParquetWriter(output, schema) as writer:
        async for row in rows:
            group.append({name: _cell(row.get(name), type_) for name, type_ in _columns().items()})
            count += 1
            if len(group) == ROWS:
                writer.write_table(arrow.Table.from_pylist(group, schema=schema))
                group = []
        writer.write_table(arrow.Table.from_pylist(group, schema=schema))
    return count


def _columns() -> dict[str, str]:
    """Return the type of each column, taken from the row of an empty turn."""
    empty = {"conversation_id": ""} | turn_json(TurnRecord("", "", "message", ""))  # type: ignore[arg-type]
    return {name: _type_of(name, value) for name, value in empty.items()}


def _type_of(name: str, value: Json) -> str:
    if name.endswith("_ms") or name == "cost":
        return "float64"
    if isinstance(value, bool):
        return "bool_"
    return "int64" if isinstance(value, int) else "string"


def _cell(value: Any, type_: str) -> Any:
    if type_ == "string" and value is not None and not isinstance(value, str):
        return json_text(value)
    return value

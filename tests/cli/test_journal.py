"""The `journal` commands, run as a user runs them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from pyarrow import parquet

from layercode_app.journal.record import Kind, TurnRecord
from layercode_app.journal.stores import create_store
from layercode_app.journal.stores.base import Store

from ..journal.stores.records import add, begin, turn
from ..postgres_server import PostgresServer
from ..processes import run

PHONE = "+1 415 555 0199"


def filled(url: str, turns: int, **more: object) -> None:
    async def work(store: Store) -> None:
        for number in range(turns):
            await add(store, turn(f"c{number % 10}", f"t{number}", user_text=f"call {PHONE} {number}", **more))

    _with(url, work)


def _with(url: str, work: object) -> None:
    async def main() -> None:
        store = create_store(url)
        await store.open()
        await work(store)  # type: ignore[operator]
        await store.close()

    asyncio.run(main())


def url_of(folder: Path, name: str = "journal") -> str:
    return f"sqlite:///{folder}/{name}.sqlite3"


def test_info_shows_the_store_and_its_size(tmp_path: Path) -> None:
    filled(url_of(tmp_path), 25)
    code, printed = run("journal", "info", "--store", url_of(tmp_path), cwd=tmp_path)
    assert code == 0, printed
    assert "turns: 25" in printed
    assert "conversations: 10" in printed
    found = json.loads(run("journal", "info", "--store", url_of(tmp_path), "--json", cwd=tmp_path)[1])
    assert (found["turns"], found["pending_jobs"], found["retention_days"]) == (25, 0, 30)
    assert found["bytes"] > 1000


def test_a_journal_is_copied_to_postgres_and_back(tmp_path: Path, postgres_server: PostgresServer) -> None:
    postgres_server.clear()
    filled(url_of(tmp_path), 25)
    code, printed = run("journal", "copy", url_of(tmp_path), postgres_server.url, cwd=tmp_path)
    assert code == 0, printed
    assert "Copied 25 turns" in printed
    assert "The copy equals the source." in printed
    code, printed = run("journal", "copy", postgres_server.url, url_of(tmp_path, "back"), "--json", cwd=tmp_path)
    assert code == 0, printed
    assert json.loads(printed)["turns"] == 25
    code, printed = run("journal", "copy", url_of(tmp_path), postgres_server.url, cwd=tmp_path)
    assert (code, "25 were already there" in printed) == (0, True), printed


def test_a_journal_is_not_copied_into_itself(tmp_path: Path) -> None:
    filled(url_of(tmp_path), 1)
    for same in (url_of(tmp_path), "sqlite:///./journal.sqlite3"):
        code, printed = run("journal", "copy", url_of(tmp_path), same, cwd=tmp_path)
        assert code == 2
        assert "same journal" in printed


def test_a_journal_is_not_copied_into_memory(tmp_path: Path) -> None:
    filled(url_of(tmp_path), 1)
    code, printed = run("journal", "copy", url_of(tmp_path), "memory", cwd=tmp_path)
    assert (code, "TO is memory: the copy would be lost" in printed) == (2, True), printed


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("copy", "memory", "sqlite:///to.db"), "FROM is memory"),
        (("copy", "sqlite:///none.db", "sqlite:///to.db"), "FROM sqlite:///none.db: there is no journal"),
        (("copy", "nonsense", "sqlite:///to.db"), "FROM 'nonsense': expected"),
        (("copy", "{here}", "nonsense"), "TO 'nonsense': expected"),
        (("copy", "{here}", "redis://h:port/0"), "TO is not a Redis URL"),
        (("copy", "{here}", "sqlite:///file/to.db"), "set by TO"),
        (("info", "--store", "nonsense"), "--store 'nonsense': expected"),
        (("check", "--store", "memory"), "--store is memory"),
        (("export", "--store", "sqlite:///none.db"), "--store sqlite:///none.db: there is no journal"),
    ],
)
def test_errors_name_the_argument_that_is_wrong(words: tuple[str, ...], told: str, tmp_path: Path) -> None:
    filled(url_of(tmp_path), 1)
    (tmp_path / "file").touch()
    code, printed = run("journal", *(word.format(here=url_of(tmp_path)) for word in words), cwd=tmp_path)
    assert code in (1, 2)
    assert told in " ".join(printed.split())
    assert "LAYERCODE_STORE" not in printed
    assert not (tmp_path / "to.db").exists()


def test_an_export_has_a_masked_row_for_each_turn(tmp_path: Path) -> None:
    filled(url_of(tmp_path), 12)
    code, printed = run("journal", "export", "--store", url_of(tmp_path), cwd=tmp_path)
    assert code == 0, printed
    rows = [json.loads(line) for line in printed.splitlines()]
    assert [row["turn_id"] for row in rows] == [f"t{number}" for number in range(12)]
    assert rows[3]["agent_said"] == "hi"
    assert PHONE not in printed
    file = tmp_path / "out" / "turns.jsonl"
    file.parent.mkdir()
    file.touch(mode=0o644)  # An earlier export that all could read.
    code, _ = run("journal", "export", "--unredacted", "-o", str(file), "--store", url_of(tmp_path), cwd=tmp_path)
    assert code == 0
    assert json.loads(file.read_text().splitlines()[3])["caller"] == f"call {PHONE} 3"
    assert file.stat().st_mode & 0o77 == 0


def test_parquet_has_the_columns_of_the_rows(tmp_path: Path) -> None:
    filled(url_of(tmp_path), 1100, timings={"ttfs": 10.5}, cost=0.25, usage={"requests": 1})
    file = tmp_path / "turns.parquet"
    options = ("--format", "parquet", "-o", str(file), "--store", url_of(tmp_path))
    code, printed = run("journal", "export", *options, cwd=tmp_path)
    assert code == 0, printed
    table = parquet.read_table(file)
    assert table.num_rows == 1100
    rows = table.to_pylist()
    assert (rows[7]["turn_id"], rows[7]["ttfs_ms"], rows[7]["cost"]) == ("t7", 10.5, 0.25)
    assert json.loads(rows[7]["usage"]) == {"requests": 1}
    assert not any(PHONE in str(row) for row in rows)


@pytest.mark.parametrize("format_", ["parquet"])
def test_parquet_is_not_written_to_stdout(format_: str, tmp_path: Path) -> None:
    filled(url_of(tmp_path), 1)
    code, printed = run("journal", "export", "--format", format_, "--store", url_of(tmp_path), cwd=tmp_path)
    assert code == 2
    assert "--output" in printed


def test_check_finds_and_ends_the_turn_of_a_dead_worker(tmp_path: Path) -> None:
    async def die(store: Store) -> None:
        await begin(store, TurnRecord("c", "stuck", Kind.MESSAGE, "a", started_at=1.0))

    _with(url_of(tmp_path), die)
    code, printed = run("journal", "check", "--store", url_of(tmp_path), cwd=tmp_path)
    assert code == 1
    assert "running without a worker: c stuck" in printed
    code, printed = run("journal", "check", "--fix", "--store", url_of(tmp_path), cwd=tmp_path)
    assert code == 0, printed
    assert "Marked 1 of them as failed." in printed
    found = json.loads(run("journal", "check", "--json", "--store", url_of(tmp_path), cwd=tmp_path)[1])
    assert (found["healthy"], found["stuck"], found["turns"]) == (True, [], 1)

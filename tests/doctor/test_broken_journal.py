"""`doctor` reports a journal as broken whenever other commands cannot read it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from layercode_app.doctor.local import check_store
from layercode_app.journal.stores.sqlite import SQLiteStore

from ..calling import settings
from ..journal.stores.records import add, turn

pytestmark = pytest.mark.anyio

PAGE = 4096


async def journal(folder: Path, turns: int = 60) -> Path:
    path = folder / "journal.sqlite3"
    store = SQLiteStore(path)
    await store.open()
    for number in range(turns):
        await add(store, turn("c", f"t{number}", user_text="hello " * 300))
    await store.close()
    return path


async def test_a_whole_journal_can_be_written_and_read(tmp_path: Path) -> None:
    await journal(tmp_path)
    finding = await check_store(settings(tmp_path))
    assert (finding.state, "can be read and written" in finding.detail) == ("ok", True)


async def test_pages_that_are_overwritten_are_found(tmp_path: Path) -> None:
    path = await journal(tmp_path)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // PAGE * PAGE
    data[middle : middle + 4 * PAGE] = b"\x13" * 4 * PAGE
    path.write_bytes(data)
    finding = await check_store(settings(tmp_path))
    assert finding.state == "failed"
    assert "malformed" in finding.detail
    assert ".recover" in finding.fix


async def test_a_turn_that_is_no_json_is_found(tmp_path: Path) -> None:
    path = await journal(tmp_path, turns=3)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE turns SET head = x'7b22' WHERE turn_id = 't1'")
    db.close()
    finding = await check_store(settings(tmp_path))
    assert finding.state == "failed"
    assert "cannot be read" in finding.detail


async def test_a_file_that_is_no_journal_is_found(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite3").write_bytes(b"not a database" * 1000)
    assert (await check_store(settings(tmp_path))).state == "failed"

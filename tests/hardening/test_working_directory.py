"""A hook that changes the working directory moves neither the journal nor the logs and metrics."""

from __future__ import annotations

from pathlib import Path

import pytest

from layercode_app.journal.stores import create_store
from layercode_app.observability.json_lines import Files
from layercode_app.observability.metric_files import MetricFiles

from ..journal.stores.records import add, turn

pytestmark = pytest.mark.anyio


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


async def test_a_store_with_a_relative_path_stays_where_it_is(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, other = create_store("sqlite:///journal.sqlite3"), create_store("sqlite:///journal.sqlite3")
    await here.open()
    await other.open()
    monkeypatch.chdir(elsewhere)
    await add(here, turn("c", "t"))
    assert await here.alive(other.owner)
    assert [record.turn_id async for record in here.turns()] == ["t"]
    assert here.component == "sqlite journal.sqlite3"
    await here.close()
    await other.close()
    assert list(elsewhere.iterdir()) == []


def test_metrics_and_logs_stay_where_they_are(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = MetricFiles(Path("metrics"))
    logs = Files(Path("logs"), rotation="1 MB", retention="1 day", per_agent=True)
    monkeypatch.chdir(elsewhere)
    metrics.write({"turns": 1})
    logs("bakery", b"a line\n")
    assert len(list((elsewhere.parent / "metrics").glob("*.json"))) == 1
    written = (elsewhere.parent / "logs").rglob("*.log")
    assert [path.read_bytes() for path in written] == [b"a line\n"] * 2
    assert list(elsewhere.iterdir()) == []

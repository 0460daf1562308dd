"""The in-memory journal is bounded."""

from __future__ import annotations

import pytest

from layercode_app.exceptions import ConfigurationError
from layercode_app.journal.stores import create_store
from layercode_app.journal.stores.base import Job
from layercode_app.journal.stores.memory import MemoryStore

from .records import add, turn

pytestmark = pytest.mark.anyio


async def test_everything_is_bounded() -> None:
    store = MemoryStore(max_turns=10)
    for number in range(50):
        await add(store, turn(f"c{number}", "t"))
        await store.save_state(f"c{number}", {"x": 1})
        await store.establish(f"only-authorized-{number}", {"x": 1})
        await store.enqueue(Job(f"j{number}", "n", "a", {}))
        job = await store.lease(now=1e12, seconds=60)
        assert job is not None
        await store.settle(job)
    sizes = {name: len(value) for name, value in vars(store).items() if hasattr(value, "__len__")}
    assert max(size for name, size in sizes.items() if name != "owner") <= 10
    assert [record.conversation_id async for record in store.turns()] == [f"c{number}" for number in range(40, 50)]
    assert not await store.enqueue(Job("j49", "n", "a", {}))


async def test_an_owed_job_is_never_dropped() -> None:
    store = MemoryStore(max_turns=2)
    for number in range(10):
        await store.enqueue(Job(f"j{number}", "n", "a", {}))
    assert len([job for _ in range(10) if (job := await store.lease(now=1e12, seconds=60))]) == 10


@pytest.mark.parametrize("url", ["", "sqlite://", "sqlite:///", "mysql://u:test-password@host/db", "journal.db"])
def test_any_other_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="expected sqlite:///PATH") as refused:
        create_store(url)
    assert "test-password" not in str(refused.value)

"""A write that fails is repeated until the journal is available again.

If the server stops during an attempt, this attempt is completed. If it fails, or if the server stops in the pause
between two attempts, one last attempt is made.
"""

from __future__ import annotations

import asyncio

import pytest

from layercode_app.exceptions import StoreError
from layercode_app.jobs import until_saved as module
from layercode_app.jobs.until_saved import until_saved

pytestmark = pytest.mark.anyio


class Journal:
    """A journal in which the first `failures` writes fail. Each write takes a moment."""

    def __init__(self, failures: int) -> None:
        self.failures, self.saved = failures, False
        self.attempts, self.writing = 0, asyncio.Event()

    async def save(self) -> None:
        self.attempts += 1
        self.writing.set()
        await asyncio.sleep(0.05)
        if self.attempts <= self.failures:
            raise StoreError("away")
        self.saved = True


@pytest.mark.parametrize("failures", [0, 2])
async def test_a_write_is_repeated(failures: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.01)
    journal = Journal(failures)
    await until_saved(journal.save, "The notes")
    assert (journal.saved, journal.attempts) == (True, failures + 1)


@pytest.mark.parametrize(
    ("failures", "paused", "saved"),
    [(0, False, True), (1, False, True), (2, False, False), (1, True, True), (2, True, False)],
)
async def test_a_stop_completes_the_attempt_and_makes_one_more(failures: int, paused: bool, saved: bool) -> None:
    """The server stops during the first attempt, or in the pause after it."""
    journal = Journal(failures)
    saving = asyncio.create_task(until_saved(journal.save, "The notes"))
    await journal.writing.wait()
    if paused:
        await asyncio.sleep(0.2)
    saving.cancel()
    await asyncio.wait({saving})
    assert journal.saved is saved
    assert not saving.cancelled()
    assert isinstance(saving.exception(), StoreError) is not saved


async def test_a_write_that_stays_impossible_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.01)
    monkeypatch.setattr(module, "SECONDS", 0.1)
    with pytest.raises(StoreError, match="away"):
        await until_saved(Journal(100).save, "The notes")


async def test_another_error_is_not_repeated() -> None:
    async def save() -> None:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        await until_saved(save, "The notes")

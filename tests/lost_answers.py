"""Make a store lose one answer, as in a timeout: `add_totals` adds the amounts, but then raises StoreError."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from layercode_app.exceptions import StoreError
from layercode_app.journal.stores.base import Store


def lose_answer(store: Store, prefix: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lose the answer to the first `add_totals` whose key begins with `prefix` and whose amounts include `name`."""
    add, lost = store.add_totals, list[str]()

    async def add_totals(key: str, amounts: Mapping[str, float], **options: Any) -> dict[str, float]:
        totals = await add(key, amounts, **options)
        if key.startswith(prefix) and name in amounts and not lost:
            lost.append(key)
            raise StoreError("no answer")
        return totals

    monkeypatch.setattr(store, "add_totals", add_totals)

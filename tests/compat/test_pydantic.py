"""A panic of Pydantic's Rust code is recognised."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, computed_field

from layercode_app._compat.pydantic import is_panic


class Item(BaseModel):
    @computed_field  # type: ignore[prop-decorator]
    @property
    def total(self) -> int:
        if len(basket.items) < 3:
            basket.items[f"item {len(basket.items)}"] = Item()
        return 1


class Basket(BaseModel):
    items: dict[str, Item] = {}


basket = Basket(items={"bread": Item()})


def test_a_panic_is_recognised() -> None:
    with pytest.raises(BaseException, match="dictionary changed size") as panic:
        basket.model_dump()
    assert is_panic(panic.value)
    assert not is_panic(RuntimeError("dictionary changed size during iteration"))

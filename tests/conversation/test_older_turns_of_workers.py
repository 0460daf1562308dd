"""An older turn ends after a newer turn that ran on another worker. Neither loses what the other one saved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, computed_field, model_validator
from pydantic_ai import Agent, RunContext

from layercode_app import Call, LayerCode, Scene, Stage, Turn, VoiceAgent
from layercode_app.conversation import delivery
from layercode_app.journal.record import Status

from ..calling import calling, settings
from ..waiting import until

pytestmark = pytest.mark.anyio


class Basket(BaseModel):
    items: list[str] = []
    counts: dict[str, int] = {}
    tags: set[str] = set()
    name: str = ""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def total(self) -> int:
        """The number of items."""
        return len(self.items)


class SmallBasket(Basket):
    @model_validator(mode="after")
    def _is_small(self) -> SmallBasket:
        assert len(self.items) < 2
        return self


class Worker:
    """A worker whose agent calls the tool that the caller names. If the caller says "slowly", the tool waits."""

    def __init__(self, tmp_path: Path, state: type[Basket]) -> None:
        self.began, self.proceed = asyncio.Event(), asyncio.Event()
        agent = Agent(deps_type=Turn[Basket])
        stages = [Stage("order"), Stage("payment"), Stage("goodbye")]
        voice = VoiceAgent("shop", agent, state=state, stages=stages, tools={"change": "finish"})

        @agent.tool
        async def change(ctx: RunContext[Turn[Basket]], what: str, value: str, slowly: bool) -> str:
            if slowly:
                self.began.set()
                await self.proceed.wait()
            actions: dict[str, Callable[[str], Any]] = {
                "add": lambda item: ctx.deps.state.items.append(item),
                "count": lambda item: ctx.deps.state.counts.update({item: 1}),
                "tag": lambda tag: ctx.deps.state.tags.add(tag),
                "name": lambda name: setattr(ctx.deps.state, "name", name),
                "go": ctx.deps.go_to,
                "hand": ctx.deps.hand_to,
            }
            actions[what](value)
            return "done"

        @voice.offline
        async def script(scene: Scene) -> AsyncIterator[str | Call]:
            if scene.answered:
                yield "Done."
            else:
                what, value, *slowly = scene.text.split()
                yield Call("change", {"what": what, "value": value, "slowly": bool(slowly)})

        others = [VoiceAgent(name, Agent()) for name in ("billing", "sales")]
        self.app = LayerCode(voice, *others, settings=settings(tmp_path), model="offline")


CHANGES = [
    ("add rolls", "add buns", "items", ["buns", "rolls"]),
    ("count rolls", "count buns", "counts", {"buns": 1, "rolls": 1}),
    ("tag vegan", "tag new", "tags", ["new", "vegan"]),
    ("add rolls", "add buns", "total", 2),
    ("name Ann", "name Bob", "name", "Bob"),
    ("add rolls", "name Bob", "items", ["rolls"]),
    ("go payment", "go goodbye", "layercode.stage.shop", "goodbye"),
    ("go payment", "name Bob", "layercode.stage.shop", "payment"),
    ("hand sales", "hand billing", "layercode.agent", "billing"),
]


async def state_after(
    tmp_path: Path, older: str, newer: str, *, stalled: bool, state: type[Basket] = Basket
) -> dict[str, Any]:
    """Run a slow turn at one worker, and meanwhile a newer turn at another one. Return the saved state.

    If the first worker is `stalled`, it does not know of the newer turn.
    """
    one, two = (Worker(tmp_path, state) for _ in range(2))
    async with calling(one.app, agent="shop") as here, calling(two.app, agent="shop") as there:
        there.conversation_id = here.conversation_id
        if stalled:
            one.app.store.on_signal(lambda signal: None)
        asking = asyncio.create_task(here.say(f"{older} slowly", turn_id="older"))
        await one.began.wait()
        assert (await there.say(newer)).spoken == "Done."
        one.proceed.set()
        await asking
        await until(lambda: not one.app.turns.states._states)
        record = await one.app.store.get(here.conversation_id, "older")
        kept = await one.app.store.conversation(here.conversation_id)
    assert record is not None
    assert record.status is Status.SUPERSEDED
    return kept.state


@pytest.mark.parametrize("stalled", [False, True], ids=["a tool runs on", "its worker stalled"])
@pytest.mark.parametrize(("older", "newer", "key", "expected"), CHANGES)
async def test_the_changes_of_both_turns_are_kept(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    warned: list[str],
    older: str,
    newer: str,
    key: str,
    expected: Any,
    stalled: bool,
) -> None:
    monkeypatch.setattr(delivery, "DISPLACE_SECONDS", 0.1 if stalled else 60.0)
    state = await state_after(tmp_path, older, newer, stalled=stalled)
    assert state[key] == expected
    assert newer.split()[1] in str(state)
    assert any("changed the same values" in line for line in warned) == (expected in ("Bob", "goodbye", "billing"))


async def test_changes_that_do_not_fit_together_are_those_of_the_newer_turn(tmp_path: Path, warned: list[str]) -> None:
    state = await state_after(tmp_path, "add rolls", "add buns", stalled=False, state=SmallBasket)
    assert state["items"] == ["buns"]
    assert any("changed the same values" in line and "items" in line for line in warned)

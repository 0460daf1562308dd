"""`on_data` may use every feature of a turn, such as tasks, outcomes, helpers and hand-offs, and has a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.function import AgentInfo, FunctionModel

from layercode_app import Event, LayerCode, SessionUpdate, Turn, VoiceAgent
from layercode_app.conversation import carried_speech
from layercode_app.exceptions import StoreError
from layercode_app.journal.cost import DATA_COSTS
from layercode_app.journal.record import Status, TurnRecord
from layercode_app.reports.report import make_report

from ..calling import Caller, calling, settings
from ..priced import inbox, records
from ..waiting import until

pytestmark = pytest.mark.anyio


class Basket(BaseModel):
    items: int = 0


async def words(messages: list[Any], info: AgentInfo) -> AsyncIterator[str]:
    yield "a summary"


class Shop:
    """An agent that repeats the caller's words, and runs methods of this class for its page.

    The data from the page is the name of the method to run. If the caller says "slow", the agent waits in the middle of
    its reply until the test sets `proceed`.
    """

    def __init__(self) -> None:
        self.voice = voice = VoiceAgent("shop", state=Basket, history=True, greeting="Hello!")
        self.sent: asyncio.Queue[str] = asyncio.Queue()
        self.speaking, self.proceed = asyncio.Event(), asyncio.Event()
        self.helper = Agent(FunctionModel(stream_function=words, function=_whole, model_name="gpt-5-mini"))

        @voice.on_message
        async def reply(turn: Turn[Basket]) -> AsyncIterator[str]:
            yield "You said "
            if turn.text == "slow":
                self.speaking.set()
                await self.proceed.wait()
            yield f"{turn.text}."

        @voice.on_data
        async def clicked(turn: Turn[Basket], data: Any) -> Any:
            return await getattr(self, data)(turn)

        @voice.task
        async def receipt(to: str) -> None:
            self.sent.put_nowait(to)

        self.receipt = receipt

    async def order(self, turn: Turn[Basket]) -> Any:
        turn.state.items += 1
        turn.background(self.receipt, to="ada@example.com")
        turn.outcome("ordered", value=12.0)
        turn.score("ease", 5)
        model = turn.helper_model(self.helper.model)
        await self.helper.run("sum up", model=model)
        return {"past": [past.user_text for past in turn.past], "resumed": turn.resumed}

    async def person(self, turn: Turn[Basket]) -> Any:
        turn.handoff("asked by a click", say="A person will call.")

    async def words(self, turn: Turn[Basket]) -> Any:
        turn.say("Added.")
        turn.say(" Anything else?")
        return {"ok": True}

    async def show(self, turn: Turn[Basket]) -> Any:
        turn.data({"basket": 1})

    async def show_two(self, turn: Turn[Basket]) -> Any:
        turn.data({"basket": 1})
        turn.data({"basket": 2})

    async def leave(self, turn: Turn[Basket]) -> Any:
        turn.say("Bye!")
        turn.hangup()

    async def hang(self, turn: Turn[Basket]) -> Any:
        turn.state.items += 1
        await asyncio.Event().wait()


async def _whole(messages: list[Any], info: AgentInfo) -> Any:
    from pydantic_ai.messages import ModelResponse, TextPart

    return ModelResponse(parts=[TextPart("a summary")])


@asynccontextmanager
async def served(tmp_path: Path, shop: Shop, **given: Any) -> AsyncIterator[tuple[LayerCode, Caller]]:
    app = LayerCode(shop.voice, settings=settings(tmp_path, **given))
    async with calling(app) as caller:
        yield app, caller


async def data_record(app: LayerCode) -> TurnRecord:
    (record,) = [record for record in await records(app) if record.kind == "data"]
    return record  # type: ignore[no-any-return]


async def away(*_: Any, **__: Any) -> None:
    raise StoreError("away")


async def click(caller: Caller, what: str) -> Any:
    answer = await caller.send({"type": "data", "data": what})
    return answer.json if answer.status == 200 else (answer.status, answer.json)


async def test_a_click_has_tasks_outcomes_scores_history_state_and_helpers(tmp_path: Path) -> None:
    shop = Shop()
    async with served(tmp_path, shop) as (app, caller):
        await caller.say("hello")
        assert await click(caller, "order") == {"past": ["hello"], "resumed": False}
        async with asyncio.timeout(100):
            assert await shop.sent.get() == "ada@example.com"
        record = await data_record(app)
        report = (await make_report(app.store)).total
        state = (await app.store.conversation(caller.conversation_id)).state

    assert state == {"items": 1, DATA_COSTS: "yes"}
    assert record.outcomes == [{"name": "ordered", "value": 12.0}]
    assert record.usage["output_tokens"] > 0
    assert record.cost is not None
    assert (report.turns, report.outcomes["ordered"].value, report.scores["ease"].mean) == (1, 12.0, 5.0)
    assert report.tokens["output_tokens"] == record.usage["output_tokens"]
    assert report.success_rate == 1.0
    assert report.times("total") != []
    assert len(report.times("total")) == 1


async def test_a_click_asks_for_a_person(tmp_path: Path) -> None:
    async with inbox() as box, served(tmp_path, Shop(), handoff_url=box.url) as (_, caller):
        assert await click(caller, "person") == {}
        async with asyncio.timeout(100):
            while not box.bodies:
                await asyncio.sleep(0.01)
        assert (await caller.say("hello")).spoken == "A person will call. You said hello."
    assert box.bodies[0]["reason"] == "asked by a click"


async def test_words_of_a_click_come_after_those_of_the_turn_that_runs(tmp_path: Path) -> None:
    shop = Shop()
    async with served(tmp_path, shop) as (app, caller):
        speaking = asyncio.create_task(caller.say("slow", turn_id="t1"))
        await shop.speaking.wait()
        assert await click(caller, "words") == {"ok": True}
        assert await click(caller, "show") == {}
        shop.proceed.set()
        reply = await speaking
        assert (await caller.say("again")).spoken == "You said again."
        record = await app.store.get(caller.conversation_id, "t1")
    assert reply.spoken == "You said slow. Added. Anything else?"
    assert [frame.content for frame in reply.frames if frame.type == "response.data"] == [{"basket": 1}]
    assert record is not None
    assert record.spoken_text == reply.spoken


async def test_words_of_a_click_wait_for_the_next_turn_where_none_runs(tmp_path: Path) -> None:
    first, second = Shop(), Shop()
    async with served(tmp_path, first) as (_, caller):
        assert await click(caller, "words") == {"ok": True}
        conversation_id = caller.conversation_id
    # Also on another worker, after a restart.
    async with served(tmp_path, second) as (app, caller):
        caller.conversation_id = conversation_id
        assert (await caller.say("hello", turn_id="t1")).spoken == "Added. Anything else? You said hello."
        assert (await caller.say("again")).spoken == "You said again."
        record = await app.store.get(conversation_id, "t1")
    assert record is not None
    assert record.metadata == {}
    assert record.spoken_text == "Added. Anything else? You said hello."


async def test_words_of_a_click_outlive_the_interruption_of_the_turn_that_runs(tmp_path: Path) -> None:
    shop = Shop()
    async with served(tmp_path, shop) as (_, caller):
        speaking = asyncio.create_task(caller.say("slow"))
        await shop.speaking.wait()
        await click(caller, "words")
        assert (await caller.say("hello")).spoken == "Added. Anything else? You said hello."
        assert (await speaking).spoken == "You said "


async def test_data_of_a_click_is_its_answer_or_goes_with_the_next_turn(tmp_path: Path) -> None:
    async with served(tmp_path, Shop()) as (_, caller):
        assert await click(caller, "show") == {"basket": 1}
        assert await click(caller, "show_two") == {}
        reply = await caller.say("hello")
    assert [frame.content for frame in reply.frames if frame.type == "response.data"] == [{"basket": 1}, {"basket": 2}]


async def test_a_click_hangs_up_at_the_end_of_the_turn_that_runs_or_of_the_next(tmp_path: Path) -> None:
    shop = Shop()
    async with served(tmp_path, shop) as (_, caller):
        speaking = asyncio.create_task(caller.say("slow"))
        await shop.speaking.wait()
        await click(caller, "leave")
        shop.proceed.set()
        reply = await speaking
        assert (reply.spoken, reply.types[-2:]) == ("You said slow. Bye!", ["response.hangup", "response.end"])
        await click(caller, "leave")
        reply = await caller.say("hello")
        assert (reply.spoken, reply.types[-2:]) == ("Bye! You said hello.", ["response.hangup", "response.end"])
        assert "response.hangup" not in (await caller.say("hello")).types


async def test_a_click_that_ends_a_session_does_not_end_the_next_one(tmp_path: Path) -> None:
    async with served(tmp_path, Shop()) as (_, caller):
        await click(caller, "words")
        await click(caller, "leave")
        assert (await caller.send({"type": "session.end"})).status == 200
        caller.session_id = "later"
        reply = await caller.say("hello")
        assert (reply.spoken, "response.hangup" in reply.types) == ("Added. Anything else? You said hello.", False)
        assert (await caller.say("hello")).spoken == "You said hello."


async def test_a_click_does_not_end_the_session_before_its_own(tmp_path: Path) -> None:
    shop = Shop()
    async with served(tmp_path, shop) as (_, caller):
        speaking = asyncio.create_task(caller.say("slow"))
        await shop.speaking.wait()
        caller.session_id = "later"
        await click(caller, "leave")
        shop.proceed.set()
        assert (await speaking).types[-2:] == ["response.tts", "response.end"]
        reply = await caller.say("hello")
        assert (reply.spoken, reply.types[-2:]) == ("Bye! You said hello.", ["response.hangup", "response.end"])


async def test_a_click_that_hangs_is_ended_with_a_clear_answer(tmp_path: Path) -> None:
    async with served(tmp_path, Shop(), hook_timeout=0.5) as (app, caller):
        status, answer = await click(caller, "hang")
        record = await data_record(app)
        assert await click(caller, "show") == {"basket": 1}
    assert status == 504
    assert "0.5 s" in answer["error"]
    assert (str(record.status), record.error_category, record.state) == ("failed", "timeout", {"items": 0})


@pytest.mark.parametrize("kind", ["session.update", "data", "brand.new"])
async def test_an_event_hook_that_hangs_is_ended_too(tmp_path: Path, kind: str) -> None:
    voice = VoiceAgent("office")

    @voice.on_event
    async def note(event: Event) -> None:
        await asyncio.Event().wait()

    @voice.on_session_update
    async def update(event: SessionUpdate) -> None:
        await asyncio.Event().wait()

    async with calling(LayerCode(voice, settings=settings(tmp_path, hook_timeout=0.05))) as caller:
        answer = await caller.send({"type": kind})
    assert (answer.status, "0.05 s" in answer.json["error"]) == (504, True)


async def test_a_hooks_own_timeout_is_its_failure(tmp_path: Path) -> None:
    voice = VoiceAgent("office")

    @voice.on_data
    async def fail(turn: Turn, data: Any) -> None:
        raise TimeoutError

    async with calling(LayerCode(voice, settings=settings(tmp_path))) as caller:
        assert (await caller.send({"type": "data", "data": 1})).status == 500


async def test_what_data_changed_is_saved_when_the_journal_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from layercode_app.jobs import late_saves

    monkeypatch.setattr(late_saves, "PAUSES", (0.05,) * 20)

    shop = Shop()
    async with served(tmp_path, shop) as (app, caller):
        with monkeypatch.context() as outage:
            outage.setattr(app.store, "save", away)
            answer = await click(caller, "order")
        assert answer == {"past": [], "resumed": False}
        async with asyncio.timeout(100):
            assert await shop.sent.get() == "ada@example.com"
            while str((await data_record(app)).status) == "running":
                await asyncio.sleep(0.02)
        assert (await app.store.conversation(caller.conversation_id)).state == {"items": 1, DATA_COSTS: "yes"}


@pytest.mark.parametrize("running", [False, True], ids=["no turn runs", "an interrupted turn runs"])
async def test_words_of_a_click_outlive_an_outage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, running: bool
) -> None:
    shop, refused = Shop(), list[TurnRecord]()

    async def refuse(record: TurnRecord, **_: Any) -> None:
        refused.append(record)
        raise StoreError("away")

    async with served(tmp_path, shop) as (app, caller):
        turn = asyncio.create_task(caller.say("slow")) if running else None
        if running:
            await shop.speaking.wait()
        with monkeypatch.context() as outage:
            for name in ("conversation", "establish"):
                outage.setattr(app.store, name, away)
            outage.setattr(app.store, "save", refuse)
            await click(caller, "words")
            if turn is not None:
                turn.cancel()
                await until(lambda: any(record.status is Status.INTERRUPTED for record in refused))
        assert (await caller.say("hello")).spoken == "Added. Anything else? You said hello."
        assert (await caller.say("again")).spoken == "You said again."


async def test_words_of_clicks_on_several_workers_are_all_spoken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path, Shop()) as (first, one), served(tmp_path, Shop()) as (_, two):
        two.conversation_id = one.conversation_id
        establish = first.store.establish

        async def after_another_click(conversation_id: str, metadata: dict[str, Any]) -> None:
            monkeypatch.setattr(first.store, "establish", establish)
            # The other worker is another process, so it shares no lock with this one.
            monkeypatch.setattr(carried_speech, "_keeping", {})
            await click(two, "words")
            await establish(conversation_id, metadata)

        monkeypatch.setattr(first.store, "establish", after_another_click)
        await click(one, "words")
        assert (await two.say("hello")).spoken == "Added. Anything else? Added. Anything else? You said hello."
        assert (await one.say("again")).spoken == "You said again."


async def test_the_keys_of_waiting_words_are_used_again(tmp_path: Path) -> None:
    async with served(tmp_path, Shop()) as (app, caller):
        for _ in range(3):
            await asyncio.gather(*[click(caller, "words") for _ in range(2)])
            assert (await caller.say("hello")).spoken == "Added. Anything else? " * 2 + "You said hello."
        assert len((await app.store.conversation(caller.conversation_id)).metadata) == 2

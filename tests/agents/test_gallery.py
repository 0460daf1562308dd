"""Every shipped agent holds a conversation of five turns over signed HTTP, with real tools and its offline script."""

from __future__ import annotations

from pathlib import Path

import pytest

from .talking import sent, talking

pytestmark = pytest.mark.anyio


async def test_echo_repeats(tmp_path: Path) -> None:
    async with talking("echo", tmp_path) as call:
        assert (await call.greeting()).spoken == "Hello! I repeat whatever you say."
        for text in ("one", "two  spaces", "ünïcödé 🎉", "four", "five"):
            assert (await call.say(text)).spoken == f"You said: {text}"


async def test_starter_remembers(tmp_path: Path) -> None:
    async with talking("starter", tmp_path) as call:
        assert "What can I do" in (await call.greeting()).spoken
        assert "You said: I live in Oslo." in (await call.say("I live in Oslo")).spoken
        assert (await call.say("Thanks")).spoken == "That was your message number 2: Thanks."
        assert (await call.say("Really")).spoken == "That was your message number 3: Really."
        assert "I live in Oslo" in (await call.say("What did I say first?")).spoken
        assert "number 5" in (await call.say("Bye")).spoken


async def test_bakery_takes_an_order_and_a_booking(tmp_path: Path) -> None:
    async with talking("bakery", tmp_path) as call:
        assert "Sunrise Bakery" in (await call.greeting()).spoken
        assert "cinnamon roll" in (await call.say("What is on the menu?")).spoken
        added = await call.say("Two croissants and two coffee, please")
        assert added.spoken == "Two croissants and two coffees. The basket comes to 10 euros 40. Anything else?"
        assert sent(added)[-1] == {"basket": {"items": {"croissant": 2, "coffee": 2}, "booking": None, "total": 10.4}}
        assert "One sourdough. The basket comes to 15 euros 90." in (await call.say("A sourdough")).spoken
        booked = await call.say("And a table at four")
        assert sent(booked)[-1]["basket"]["booking"] == {"people": 2, "time": "at four"}
        ordered = await call.say("That's all, order it")
        assert ordered.spoken == "Ordered for 15 euros 90, ready in twenty minutes."
        assert sent(ordered) == [{"ordered": 15.9}]

        assert await call.tools() == [
            "menu done", "add_item done", "add_item done", "add_item done", "book_table done", "place_order done"
        ]  # fmt: skip
        assert await call.outcomes() == [{"name": "booked", "value": None}, {"name": "ordered", "value": 15.9}]


async def test_bakery_keeps_one_basket_per_conversation(tmp_path: Path) -> None:
    async with talking("bakery", tmp_path) as call:
        await call.say("A croissant")
        call.caller.conversation_id = "another"
        other = await call.say("A coffee")
    assert sent(other)[-1]["basket"]["items"] == {"coffee": 1}


async def test_bakery_counts_what_it_is_asked_for_by_item(tmp_path: Path) -> None:
    async with talking("bakery", tmp_path) as call:
        asked = await call.say("Three warm croissants, 10 sourdough and a coffee")
    assert asked.spoken.startswith("Three croissants and ten sourdoughs and one coffee. ")
    assert sent(asked)[-1]["basket"]["items"] == {"croissant": 3, "sourdough": 10, "coffee": 1}


async def test_outdoor_shop_finds_products_orders_and_policies(tmp_path: Path) -> None:
    async with talking("outdoor_shop", tmp_path) as call:
        assert "Ridge and River" in (await call.greeting()).spoken
        tent = await call.say("A light tent for rain")
        assert tent.spoken.startswith("Let me look. I would take the Lark two-person tent, at 249 euros.")
        assert sent(tent)[0]["products"][0]["sku"] == "T-200"
        assert "1 0 4 2 is on its way and arrives on Thursday" in (await call.say("Where is order 1042?")).spoken
        assert "I found nothing for 9999" in (await call.say("And order 9999?")).spoken
        assert "sixty days" in (await call.say("Can I return it?")).spoken
        assert "What is it for?" in (await call.say("xylophone")).spoken
        assert await call.tools() == [
            "search_products done", "find_order done", "find_order done", "policy done", "search_products done"
        ]  # fmt: skip


async def test_slow_answers_in_parts_with_gaps(tmp_path: Path) -> None:
    pace = {"gap_seconds": 0.02}
    async with talking("slow", tmp_path) as call:
        assert "take my time" in (await call.greeting(metadata=pace)).spoken
        reply = await call.say("Find it", turn_id="first", metadata=pace)
        arrivals = [frame.content for frame in reply.frames if frame.type == "response.tts"]
        assert arrivals == [
            "First, I open the drawer. ", "Then I look through the folders. ", "There it is. ", "That was all of it. "
        ]  # fmt: skip
        cut = {"previous_turn_interrupted": True, "text_heard": "First, I open", "assistant_turn_id": "first"}
        assert (await call.say("Wait", interruption_context=cut)).spoken.endswith("heard to say: First, I open")
        assert (await call.say("Go on", metadata={**pace, "parts": 2})).spoken.endswith("folders. ")
        assert (await call.say("Go on", metadata={**pace, "parts": 1})).spoken == "First, I open the drawer. "
        assert (await call.say("Wait")).spoken.endswith("First, I open the drawer. ")


async def test_slow_covers_a_long_silence_with_its_filler(tmp_path: Path) -> None:
    async with talking("slow", tmp_path) as call:
        reply = await call.say("Find it", metadata={"gap_seconds": 1.2, "parts": 1})
    assert reply.spoken == "One moment. First, I open the drawer. "


@pytest.mark.slow
async def test_concierge_acknowledges_before_it_thinks(tmp_path: Path) -> None:
    async with talking("concierge", tmp_path) as call:
        assert "concierge" in (await call.greeting()).spoken
        suggested = await call.say("A restaurant, please")
        assert suggested.spoken.startswith("With pleasure, let me see. I would suggest the Blue Door")
        reserved = await call.say("Yes, book a table")
        assert sent(reserved) == [{"reserved": {"what": "a table", "when": "at eight tonight"}}]
        assert "It is done. Reserved: a table, at eight tonight." in reserved.spoken
        assert "harbour" in (await call.say("And a walk?")).spoken
        assert "a taxi" in (await call.say("A taxi as well")).spoken
        assert "I can suggest" in (await call.say("Thank you")).spoken
        assert await call.tools() == ["suggest done", "reserve done", "suggest done", "reserve done"]
        timings = [turn.timings for turn in await call.turns() if turn.user_text]
    assert all(timing["ttfs"] < timing["ttft"] for timing in timings), "spoke before the larger model did"


async def test_helpdesk_answers_from_its_articles_and_says_when_it_does_not_know(tmp_path: Path) -> None:
    async with talking("helpdesk", tmp_path) as call:
        assert "Support" in (await call.greeting()).spoken
        restart = await call.say("How do I restart the router?")
        assert "wait thirty seconds" in restart.spoken
        assert sent(restart)[0]["sources"][0] == {"title": "Restarting the router", "source": "router.md"}
        assert ".md" not in restart.spoken
        assert "sticker" in (await call.say("Where is the wireless password?")).spoken
        assert "first of the month" in (await call.say("When do invoices come?")).spoken
        unknown = await call.say("Do you sell submarines?")
        assert "I do not know that" in unknown.spoken
        assert sent(unknown) == [{"sources": []}]
        assert "I do not know that" in (await call.say('"); drop table passage; --')).spoken
        assert await call.tools() == ["search done"] * 5


async def test_pipeline_evaluates_plans_implements_and_verifies(tmp_path: Path) -> None:
    async with talking("pipeline", tmp_path) as call:
        assert "pitch" in (await call.greeting()).spoken
        assert "Tell me the job" in (await call.say("Hello")).spoken
        improved = await call.say("I want to be a clinic manager, my pitch: I organise things well")
        assert improved.spoken.startswith("Let me work on that for a moment. Try this: I cut our waiting times")
        stages = sent(improved)
        assert [stage["stage"] for stage in stages] == ["evaluate", "plan", "implement", "verify"]
        assert [stage["requests"] for stage in stages] == [1, 1, 2, 1], "the first draft was too long, and was retried"
        assert all(stage["tokens"] > 0 for stage in stages)
        assert "Tell me the job" in (await call.say("Nice")).spoken
        assert "Try this" in (await call.say("Another pitch")).spoken
        assert "Tell me the job" in (await call.say("Thanks")).spoken
        assert await call.tools() == ["improve done", "improve done"]
        turn = next(turn for turn in await call.turns() if turn.tools)
    assert turn.usage["requests"] == 7, "two of the coach, five of the stages"
    assert [stage.name for stage in turn.stages] == [f"stage {one['stage']}" for one in stages]
    assert [stage.usage["requests"] for stage in turn.stages] == [1, 1, 2, 1]
    tokens = [stage.usage["input_tokens"] + stage.usage["output_tokens"] for stage in turn.stages]
    assert tokens == [one["tokens"] for one in stages]
    assert turn.tools[0].args["job"] == "I want to be a clinic manager"
    assert turn.outcomes == [{"name": "pitch_improved", "value": 5}]


async def test_phone_intake_collects_confirms_and_hangs_up(tmp_path: Path) -> None:
    async with talking("phone_intake", tmp_path) as call:
        assert "May I have your name?" in (await call.greeting(from_phone_number="+15550100")).spoken
        named = await call.say("This is Robin")
        assert named.spoken == "Thank you, Robin. What number may we call?"
        assert (await call.say("It is 4 1 5")).spoken == "I have four one five so far. And the rest?"
        number = await call.say("555 0199")
        assert number.spoken == "I have four one five, five five five, zero one nine nine. When shall we call?"
        timed = await call.say("Tomorrow morning")
        assert (
            timed.spoken
            == "So Robin, four one five, five five five, zero one nine nine, Tomorrow morning. Is that right?"
        )
        done = await call.say("Yes, that is right")
        assert done.spoken == "Thank you, we will call you. Goodbye!"
        assert sent(done) == [{"intake": {"name": "Robin", "number": "+14155550199", "time": "Tomorrow morning"}}]
        assert done.types[-2:] == ["response.hangup", "response.end"]
        assert await call.tools() == [
            "save_name done", "save_number done", "save_number done", "save_time done", "finish done"
        ]  # fmt: skip

"""The offline scripts of the shipped agents understand what people typically say first."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from .talking import Conversation, talking

pytestmark = pytest.mark.anyio


class Said(NamedTuple):
    """A caller's sentence, or several sentences in several turns, and the expected outcome of the last turn.

    `heard` is a part of the last answer. `calls` are all tool calls of the last turn.
    """

    text: str | list[str]
    heard: str
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()


def add(item: str, quantity: int) -> tuple[str, dict[str, Any]]:
    return "add_item", {"item": item, "quantity": quantity}


def table(people: int, time: str) -> tuple[str, dict[str, Any]]:
    return "book_table", {"people": people, "time": time}


OFFERS = "I can tell you the menu, take an order, or book you a table."
SUGGESTS = "I can suggest a restaurant, a museum or a walk, and reserve what you like."
LOOKS_UP = "I can look up the router, the wireless password, invoices and moving home."
FINDS = "I can find a product, look an order up, or tell you about returns, shipping and warranty."
BOOKS = "I can book you an appointment."
CALLS_BACK = "I take your name, a number and a time, and we call you back."
COACHES = "Tell me the job, and then give your pitch. Begin it with the words: my pitch is."

TABLE: dict[str, list[Said]] = {
    "bakery": [
        Said("hi", OFFERS),
        Said("What can you do?", OFFERS),
        Said("I'd like to order two croissants", "Two croissants. The basket", (add("croissant", 2),)),
        Said("Can I have a dozen croissants, please?", "12 croissants", (add("croissant", 12),)),
        Said("I'll have a coffee and three cinnamon rolls", "One coffee and three", (add("coffee", 1), add("cinnamon roll", 3))),
        Said("A couple of sourdough loaves", "Two sourdoughs", (add("sourdough", 2),)),
        Said("Do you have sourdough?", "We have sourdough for 5 euros 50.", (("menu", {}),)),
        Said("How much is a coffee?", "coffee for 2 euros 80.", (("menu", {}),)),
        Said("Have you got any bagels?", "We have croissant for 2 euros 40, sourdough", (("menu", {}),)),
        Said("What kinds of bread do you sell?", "sourdough", (("menu", {}),)),
        Said("A table for two tomorrow at seven", "A table for 2, tomorrow at seven.", (table(2, "tomorrow at seven"),)),
        Said("Can I book a table at 7 pm for four people?", "for 4, at 7 pm", (table(4, "at 7 pm"),)),
        Said("We are five people, tonight at eight, is a table free?", "for 5", (table(5, "tonight at eight"),)),
        Said("I'd like to reserve a table", "For how many, and when?"),
        Said(["A table, please", "For three at noon"], "A table for 3, at noon.", (table(3, "at noon"),)),
        Said("That's all, thanks", "Your basket is still empty.", (("place_order", {}),)),
        Said(["Two croissants", "No, that's it"], "Ordered for 4 euros 80", (("place_order", {}),)),
        Said("Please remove the coffee", OFFERS),
        Said("Thank you, bye", OFFERS),
    ],
    "concierge": [
        Said("Hello", SUGGESTS),
        Said("What can you do for me?", SUGGESTS),
        Said("Where can we have dinner?", "the Blue Door", (("suggest", {"kind": "restaurant"}),)),
        Said("Is there something to see when it rains?", "the Maritime Museum", (("suggest", {"kind": "museum"}),)),
        Said("We'd like to go for a stroll", "the harbour", (("suggest", {"kind": "walk"}),)),
        Said("A taxi for tomorrow at nine", "Reserved: a taxi, tomorrow at nine.", (("reserve", {"what": "a taxi", "when": "tomorrow at nine"}),)),
        Said("Can you book me a massage?", "a massage", (("reserve", {"what": "a massage", "when": "at eight tonight"}),)),
    ],
    "echo": [Said("hi", "You said: hi")],
    "front_desk": [
        Said("hi", BOOKS),
        Said("What can you do?", BOOKS),
        Said("Good morning, I'd like to book an appointment", BOOKS),
        Said("My tooth hurts", BOOKS),
        Said("Thanks", "I did not get a name.", (("save_name", {"heard": "Thanks"}),)),
        Said("Ann Smith", "Thank you, Ann Smith.", (("save_name", {"heard": "Ann Smith"}),)),
        Said("Hello, this is Ann Smith", "Thank you, Ann Smith.", (("save_name", {"heard": "Hello, this is Ann Smith"}),)),
        Said(["Ann Smith", "My tooth hurts"], "Right, a toothache.", (("save_reason", {"heard": "My tooth hurts"}),)),
    ],
    "helpdesk": [
        Said("Hi there", LOOKS_UP),
        Said("What can you do?", LOOKS_UP),
        Said("Can you help me please", LOOKS_UP),
        Said("My internet is down", "unplug it", (("search", {"question": "My internet is down"}),)),
        Said("The wifi isn't working", "unplug it", (("search", {"question": "The wifi isn't working"}),)),
        Said("I forgot my wifi password", "sticker", (("search", {"question": "I forgot my wifi password"}),)),
        Said("How do I change the password?", "Change password", (("search", {"question": "How do I change the password?"}),)),
        Said("When is my bill due?", "first of the month", (("search", {"question": "When is my bill due?"}),)),
        Said("I'm moving next month", "two weeks before", (("search", {"question": "I'm moving next month"}),)),
        Said("Can I talk to a human?", "Shall I have a colleague call", (("search", {"question": "Can I talk to a human?"}),)),
        Said(["Do you sell boats?", "Yes please"], "A colleague will call you back.", (("call_back", {}),)),
        Said(["Do you sell boats?", "Yes", "415 555 0199"], "We will call 4 1 5", (("give_back", {"number": "4155550199"}),)),
        Said(["Do you sell boats?", "Yes", "No, thanks"], "All right, no call.", (("give_back", {"number": ""}),)),
        Said("Thanks a lot", "You are welcome."),
    ],
    "outdoor_shop": [
        Said("hi", FINDS),
        Said("What can you do?", FINDS),
        Said("I need a tent", "Lark two-person tent", (("search_products", {"words": "I need a tent"}),)),
        Said("I'd like to order a rain jacket", "Swift rain jacket", (("search_products", {"words": "I'd like to order a rain jacket"}),)),
        Said("Do you have tents under 300 euros?", "at 249 euros.", (("search_products", {"words": "Do you have tents", "max_price": 300}),)),
        Said("Something warm to sleep in", "Otter", (("search_products", {"words": "Something warm to sleep in"}),)),
        Said("Where is my order?", "What is its number?"),
        Said("My order number is one zero four two", "is on its way", (("find_order", {"number": "1042"}),)),
        Said("Can I get a refund?", "sixty days", (("policy", {"about": "returns"}),)),
        Said("How long does delivery take?", "two to four working days", (("policy", {"about": "shipping"}),)),
        Said("Is there a guarantee on it?", "three years", (("policy", {"about": "warranty"}),)),
        Said("Thank you", FINDS),
    ],
    "phone_intake": [
        Said("hi", CALLS_BACK),
        Said("What is this?", CALLS_BACK),
        Said("I would like somebody to call me back please", CALLS_BACK),
        Said("Hello, my name is Anna Smith.", "Thank you, Anna Smith.", (("save_name", {"heard": "Anna Smith"}),)),
        Said("Good morning, this is Robin", "Thank you, Robin.", (("save_name", {"heard": "Robin"}),)),
        Said("It's Lee here", "Thank you, Lee.", (("save_name", {"heard": "Lee"}),)),
        Said("robin", "Thank you, Robin.", (("save_name", {"heard": "robin"}),)),
        Said("You can reach me at five five five oh one oh two", "And the rest?", (("save_number", {"heard": "You can reach me at five five five oh one oh two"}),)),
        Said("Call me on Monday after ten", "May I have your name?", (("save_time", {"time": "on Monday after ten"}),)),
        Said("No, that's not right", "start again"),
    ],
    "pipeline": [
        Said("Hello", COACHES),
        Said("What can you do?", COACHES),
        Said("I'm applying for a job as a nurse", "And what is your pitch for it?"),
        Said(
            ["I'm applying for a job as a nurse", "I am patient and I never panic"],
            "Try this",
            (("improve", {"job": "I'm applying for a job as a nurse", "pitch": "I am patient and I never panic"}),),
        ),
        Said(
            "I want to be a clinic manager, my pitch is: I organise things well",
            "Try this",
            (("improve", {"job": "I want to be a clinic manager", "pitch": "I organise things well"}),),
        ),
    ],
    "slow": [Said("hi", "First, I open the drawer.")],
    "starter": [
        Said("hi", "You said: hi. I am running offline, from a small script."),
        Said("What can you do?", "I can tell you what you said first."),
        Said(["I live in Oslo", "What was the first thing I said?"], "The first thing you said was: I live in Oslo."),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.slow
async def test_a_first_sentence_is_understood(name: str, tmp_path: Path) -> None:
    async with talking(name, tmp_path) as call:
        wrong = [told for said in TABLE[name] if (told := await misunderstood(call, said))]
    assert not wrong, "\n".join(wrong)


async def misunderstood(call: Conversation, said: Said) -> str:
    """Say the sentences in a new conversation.

    Return the last answer and its tool calls if they are not as `said` expects, else an empty text.
    """
    texts = [said.text] if isinstance(said.text, str) else said.text
    call.caller.conversation_id = " / ".join(texts)
    replies = [await call.say(text, metadata={"gap_seconds": 0.0}) for text in texts]
    tools = (await call.turns())[-1].tools
    called = tuple((tool.name, {key: value for key, value in tool.args.items() if value is not None}) for tool in tools)
    return (
        ""
        if said.heard in replies[-1].spoken and called == said.calls
        else f"{texts}: {replies[-1].spoken!r}, {called}"
    )


def test_the_table_has_every_shipped_agent() -> None:
    from .test_files import FILES

    assert set(TABLE) == {path.stem for path in FILES}
    assert sum(map(len, TABLE.values())) >= 40

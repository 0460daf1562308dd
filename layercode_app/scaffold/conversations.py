"""A short conversation for each agent of the gallery: what the caller says, and what the agent must do.

The test and the evaluation scenario of a new project are generated from the conversation of the project's agent. When
the test or the scenario runs offline, the agent's script answers in place of a model.
"""

from __future__ import annotations

from typing import NamedTuple


class Line(NamedTuple):
    """One exchange: what the caller says, words that the reply must contain, and the tools that must be called."""

    say: str
    heard: str = ""
    tools: tuple[str, ...] = ()


DEFAULT = (Line("Hello"), Line("Can you help me?"), Line("Thank you"))
"""The conversation with an agent that is not listed below. Any reply of the agent passes the test."""

CONVERSATIONS: dict[str, tuple[Line, ...]] = {
    "bakery": (
        Line("What is on the menu?", "croissant", ("menu",)),
        Line("Two croissants, please", "4 euros 80", ("add_item",)),
        Line("That's all, order it", "twenty minutes", ("place_order",)),
    ),
    "concierge": (
        Line("Which restaurant is good?", "Blue Door", ("suggest",)),
        Line("Yes, book a table", "at eight tonight", ("reserve",)),
    ),
    "echo": (Line("Hello", "Hello"), Line("One more time", "One more time")),
    "front_desk": (
        Line("This is Ann Smith", "What is it for", ("save_name",)),
        Line("A check-up, please", "Which day", ("save_reason",)),
        Line("Next Tuesday", "eleven thirty", ("save_day", "find_times")),
        Line("Half past eleven", "Shall I book it", ("save_time",)),
        Line("Yes, please", "Booked", ("book_appointment",)),
    ),
    "helpdesk": (
        Line("Where is the wireless password?", "sticker", ("search",)),
        Line("When do invoices come?", "first of the month", ("search",)),
        Line("Do you sell submarines?", "do not know", ("search",)),
    ),
    "outdoor_shop": (
        Line("A light tent for rain", "Lark", ("search_products",)),
        Line("Where is order 1042?", "on its way", ("find_order",)),
        Line("Can I return it?", "sixty days", ("policy",)),
    ),
    "phone_intake": (
        Line("This is Robin", "Robin", ("save_name",)),
        Line("415 555 0199", "four one five, five five five", ("save_number",)),
        Line("Tomorrow morning", "Tomorrow morning", ("save_time",)),
        Line("Yes, that is right", "Goodbye", ("finish",)),
    ),
    "pipeline": (
        Line("Hello", "job"),
        Line("I want to be a clinic manager, my pitch: I organise things well", "Try this", ("improve",)),
    ),
    "slow": (Line("Wait", "waiting"),),
    "starter": (
        Line("I live in Oslo", "I live in Oslo"),
        Line("Thanks", "Thanks"),
        Line("What did I say first?", "I live in Oslo"),
    ),
}

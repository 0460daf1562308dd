"""Sunrise Bakery: takes orders and table bookings. Each conversation has a basket, which the browser shows."""

from collections.abc import AsyncIterator

from pydantic import BaseModel
from pydantic_ai import Agent, ModelRetry, RunContext

from layercode_app import SPEAK_PLAINLY, Call, Scene, Turn, VoiceAgent, load_prompt

MENU = {"croissant": 2.4, "sourdough": 5.5, "cinnamon roll": 3.2, "coffee": 2.8}  # euros
NUMBERS = dict(enumerate(["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"], 1))


class Booking(BaseModel):
    """A booked table."""

    people: int
    time: str


class Basket(BaseModel):
    """The order and the booking of one caller. They are saved with every turn of the conversation."""

    items: dict[str, int] = {}
    booking: Booking | None = None

    @property
    def total(self) -> float:
        """The total in euros."""
        return round(sum(MENU[item] * quantity for item, quantity in self.items.items()), 2)


def euros(amount: float) -> str:
    """Return an amount as it is spoken."""
    whole, cents = divmod(round(amount * 100), 100)
    return f"{whole} euros" + (f" {cents:02}" if cents else "")


bakery = Agent(instructions=[load_prompt("bakery"), SPEAK_PLAINLY], deps_type=Turn[Basket])
agent = VoiceAgent(
    "bakery",
    bakery,
    state=Basket,
    greeting="Welcome to Sunrise Bakery! What can I get you?",
    speakable=True,
    tools={"place_order": "finish_and_tell"},  # an interruption does not cancel an order that has begun
)


@bakery.tool_plain
async def menu() -> dict[str, float]:
    """List today's menu, with prices in euros."""
    return MENU


@bakery.tool
async def add_item(ctx: RunContext[Turn[Basket]], item: str, quantity: int) -> str:
    """Add an item of the menu to the caller's basket."""
    if item not in MENU:
        raise ModelRetry(f"{item!r} is not on the menu. There is: {', '.join(MENU)}.")
    basket = ctx.deps.state
    basket.items[item] = basket.items.get(item, 0) + quantity
    ctx.deps.data({"basket": basket.model_dump() | {"total": basket.total}})
    return f"The basket comes to {euros(basket.total)}."


@bakery.tool
async def book_table(ctx: RunContext[Turn[Basket]], people: int, time: str) -> str:
    """Book a table; the time is in the caller's words, such as "tomorrow at seven"."""
    basket = ctx.deps.state
    basket.booking = Booking(people=people, time=time)
    ctx.deps.outcome("booked")
    ctx.deps.data({"basket": basket.model_dump() | {"total": basket.total}})
    return f"A table for {people}, {time}."


@bakery.tool
async def place_order(ctx: RunContext[Turn[Basket]]) -> str:
    """Send the basket to the kitchen, once the caller has said that the order is complete."""
    basket = ctx.deps.state
    if not basket.items:
        raise ModelRetry("The basket is empty. Ask what the caller would like.")
    total, basket.items = basket.total, {}
    ctx.deps.outcome("ordered", value=total)
    ctx.deps.data({"ordered": total})
    return f"Ordered for {euros(total)}, ready in twenty minutes."


def in_words(item: str, quantity: int) -> str:
    """Return an item and its quantity in words."""
    return f"one {item}" if quantity == 1 else f"{NUMBERS.get(quantity, quantity)} {item}s"


def named(text: str) -> list[str]:
    """Return the menu items that a sentence names, in the order of the sentence."""
    return sorted((item for item in MENU if item in text.lower()), key=text.lower().find)


@agent.offline
async def script(scene: Scene) -> AsyncIterator[str | Call]:
    """Answer without a model."""
    if scene.retry:
        yield "Your basket is still empty. What would you like?"
    elif added := [call for call in scene.answered if call.name == "add_item"]:
        yield " and ".join(in_words(**call.args) for call in added).capitalize() + ". "
        yield f"{added[-1].result} Anything else?"
    elif "menu" in scene.results:
        yield "We have " + ", ".join(f"{item} for {euros(MENU[item])}" for item in named(scene.text) or MENU) + "."
    elif scene.results:
        yield " ".join(scene.results.values())
    elif scene.match("do you (have|sell)|have you|how much|menu|prices?|what kind|is there|are there"):
        yield "Let me look. "
        yield Call("menu")
    elif scene.says("table") or scene.when:
        people = (scene.numbers or [2])[0]
        yield Call("book_table", {"people": people, "time": scene.when}) if scene.when else "For how many, and when?"
    elif (items := named(scene.text)) and not scene.says("remove", "cancel"):
        for item in items:
            yield Call("add_item", {"item": item, "quantity": scene.quantity(item)})
    elif scene.match(r"\b(that's (all|it)|that is all|order|check out|nothing|no)\b"):
        yield Call("place_order")
    else:
        yield "I can tell you the menu, take an order, or book you a table."

"""Ridge & River: an outdoor shop's product search, order look-up and policies, with typed tool results."""

import re
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel
from pydantic_ai import Agent, RunContext

from layercode_app import SPEAK_PLAINLY, Call, Scene, Turn, VoiceAgent, load_prompt

TOPICS = {"shipping": ("shipping", "deliver"), "warranty": ("warrant", "guarant"), "returns": ("return", "refund")}
DATA = Path(__file__).parent / "data" / "outdoor_shop.json"


class Product(BaseModel):
    """A product; the price is in euros."""

    sku: str
    name: str
    kind: str
    price: float
    stock: int
    about: str


class Order(BaseModel):
    """An order and its status."""

    number: str
    status: Literal["packing", "on its way", "delivered"]
    items: list[str]
    arrives: str


class NotFound(BaseModel):
    """The result of a search that found nothing."""

    searched: str
    advice: str


class Catalogue(BaseModel):
    """The shop's products, orders and policies."""

    products: list[Product]
    orders: list[Order]
    policies: dict[Literal["returns", "shipping", "warranty"], str]


@cache
def catalogue() -> Catalogue:
    """Return the catalogue. Its file is read only once."""
    return Catalogue.model_validate_json(DATA.read_text(encoding="utf-8"))


shop = Agent(instructions=[load_prompt("outdoor_shop"), SPEAK_PLAINLY], deps_type=Turn)
agent = VoiceAgent(
    "outdoor_shop",
    shop,
    greeting="Ridge and River, hello! How can I help?",
    greeting_waits=lambda turn: turn.outbound,  # the person who is called speaks first
    voicemail="This is Ridge and River. You asked us to call you back. Please try us again any day until six.",
    speakable=True,
)


@shop.tool
async def search_products(
    ctx: RunContext[Turn], words: str, max_price: float | None = None
) -> list[Product] | NotFound:
    """Find products by what they are or do, best first, optionally up to a price in euros."""
    best = sorted(catalogue().products, key=lambda product: -matches(product, words))
    found = [one for one in best if matches(one, words) and (max_price is None or one.price <= max_price)][:3]
    ctx.deps.data({"products": [product.model_dump() for product in found]})
    return found or NotFound(searched=words, advice="Ask what it is for, and search again with other words.")


def matches(product: Product, words: str) -> int:
    """Return how many of the words of four letters or more are in the product's name, kind or description."""
    text = f"{product.name} {product.kind} {product.about}".lower()
    wanted = {word.rstrip("s") for word in re.findall(r"[^\W_]{4,}", words.lower())}
    return sum(re.search(rf"\b{word}(?:s|ing)?\b", text) is not None for word in wanted)


@shop.tool_plain
async def find_order(number: str) -> Order | NotFound:
    """Look up an order by its four-digit number."""
    digits = "".join(char for char in number if char.isdigit())
    order = next((order for order in catalogue().orders if order.number == digits), None)
    return order or NotFound(searched=number, advice="Read the number back and ask for it again.")


@shop.tool_plain
async def policy(about: Literal["returns", "shipping", "warranty"]) -> str:
    """Return the shop's policy."""
    return catalogue().policies[about]


@agent.offline
async def script(scene: Scene) -> AsyncIterator[str | Call]:
    """Answer without a model."""
    for result in scene.results.values():
        match result:
            case [Product() as best, *others]:
                yield f"I would take the {best.name}, at {best.price:g} euros. "
                yield "Shall I name another one?" if others else "It is the only one."
            case Order():
                yield f"Order {' '.join(result.number)} is {result.status} and arrives {result.arrives}."
            case NotFound():
                yield f"I found nothing for {result.searched}. What is it for?"
            case _:
                yield str(result)
    if scene.results:
        return
    price = scene.match(r" (?:under|below|up to) (\d+)(?: euros)?")
    if len(scene.digits) == 4 and not price:
        yield Call("find_order", {"number": scene.digits})
    elif scene.match(r"\b(my|an|the) (order|parcel)\b"):
        yield "What is its number? It has four digits."
    elif topic := next((topic for topic, words in TOPICS.items() if scene.says(*words)), None):
        yield Call("policy", {"about": topic})
    elif scene.match(r"^(hi|hello|hey|good \w+|thank|what can|can you help|who)\b[^,]*$"):
        yield "I can find a product, look an order up, or tell you about returns, shipping and warranty."
    else:
        yield "Let me look. "
        words, limit = (scene.text.replace(price[0], ""), float(price[1])) if price else (scene.text, None)
        yield Call("search_products", {"words": words.strip("?.! "), "max_price": limit})

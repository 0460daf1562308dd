"""Ridge & River: an outdoor shop's product search, order look-up and policies, with typed tool results."""

from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel
from pydantic_ai import Agent, RunContext

from layercode_app import SPEAK_PLAINLY, Call, Scene, Turn, VoiceAgent, load_prompt

DATA = Path(__file__).parent / "data" / "outdoor_shop.json"


class Product(BaseModel):
    """Something on the shelf; the price is in euros."""

    sku: str
    name: str
    kind: str
    price: float
    stock: int
    about: str


class Order(BaseModel):
    """Where an order is."""

    number: str
    status: Literal["packing", "on its way", "delivered"]
    items: list[str]
    arrives: str


class NotFound(BaseModel):
    """Nothing of that description."""

    searched: str
    advice: str


class Catalogue(BaseModel):
    """Everything in the data file."""

    products: list[Product]
    orders: list[Order]
    policies: dict[Literal["returns", "shipping", "warranty"], str]


@cache
def catalogue() -> Catalogue:
    """The data file, read once."""
    return Catalogue.model_validate_json(DATA.read_text(encoding="utf-8"))


shop = Agent(instructions=[load_prompt("outdoor_shop"), SPEAK_PLAINLY], deps_type=Turn)
agent = VoiceAgent("outdoor_shop", shop, greeting="Ridge and River, hello! How can I help?", speakable=True)


@shop.tool
async def search_products(
    ctx: RunContext[Turn], words: str, max_price: float | None = None
) -> list[Product] | NotFound:
    """Find products by what they are or do, best first, optionally up to a price in euros."""
    wanted = words.lower().split()
    scored = [(matches(product, wanted), product) for product in catalogue().products]
    found = [
        product
        for score, product in sorted(scored, key=lambda pair: -pair[0])
        if score and (max_price is None or product.price <= max_price)
    ][:3]
    ctx.deps.data({"products": [product.model_dump() for product in found]})
    return found or NotFound(searched=words, advice="Ask what it is for, and search again with other words.")


def matches(product: Product, words: list[str]) -> int:
    """How many of the words the product's description holds."""
    text = f"{product.name} {product.kind} {product.about}".lower()
    return sum(word in text for word in words)


@shop.tool_plain
async def find_order(number: str) -> Order | NotFound:
    """Look an order up by its number, four digits."""
    digits = "".join(char for char in number if char.isdigit())
    order = next((order for order in catalogue().orders if order.number == digits), None)
    return order or NotFound(searched=number, advice="Read the number back and ask for it again.")


@shop.tool_plain
async def policy(about: Literal["returns", "shipping", "warranty"]) -> str:
    """What the shop promises."""
    return catalogue().policies[about]


@agent.offline
async def script(scene: Scene) -> AsyncIterator[str | Call]:
    """What it says without a model."""
    for result in scene.results.values():
        match result:
            case [Product() as best, *others]:
                yield f"I would take the {best.name}, at {best.price:g} euros. "
                yield f"There are {len(others)} more if you like."
            case Order():
                yield f"Order {' '.join(result.number)} is {result.status} and arrives {result.arrives}."
            case NotFound():
                yield f"I found nothing for {result.searched}. What is it for?"
            case _:
                yield str(result)
    if scene.results:
        return
    digits = "".join(char for char in scene.text if char.isdigit())
    if len(digits) == 4:
        yield Call("find_order", {"number": digits})
    elif topic := next((word for word in ("returns", "shipping", "warranty") if scene.says(word[:6])), None):
        yield Call("policy", {"about": topic})
    else:
        yield "Let me look. "
        yield Call("search_products", {"words": scene.text.strip("?.! ")})

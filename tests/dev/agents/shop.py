"""Shop: sells cakes, and counts how many it sold."""

from collections.abc import AsyncIterator

from pydantic import BaseModel
from pydantic_ai import Agent, RunContext

from layercode_app import Call, Scene, Turn, VoiceAgent


class Sold(BaseModel):
    cakes: int = 0


packer = Agent()
shop = Agent(instructions="You sell cakes.", deps_type=Turn[Sold])
agent = VoiceAgent("shop", shop, state=Sold, greeting="Welcome to the shop.", notices=True)


@shop.tool
async def sell(ctx: RunContext[Turn[Sold]], cakes: int) -> str:
    """Sell cakes."""
    with ctx.deps.span("wrap up"):
        await packer.run("Wrap them up.", model=ctx.deps.helper_model())
    ctx.deps.state.cakes += cakes
    return f"{ctx.deps.state.cakes} cakes sold so far"


@agent.on_data
async def seen(turn: Turn[Sold], data: object) -> object:
    """Tell the page what it sent."""
    return {"seen": data}


@agent.offline
async def script(scene: Scene) -> AsyncIterator[str | Call]:
    """Sell a cake if the caller says "cake", fail at "boom", talk at length at "story", and repeat any other text."""
    if scene.says("cake") and not scene.results:
        yield Call("sell", {"cakes": 1})
    elif scene.results:
        yield f"Certainly, {scene.results['sell']}."
    elif scene.says("boom"):
        raise RuntimeError("the oven is broken")
    elif scene.says("story"):
        yield (
            "Once upon a time there was a baker who baked one two three four five six seven eight nine ten cakes. " * 3
        )
    else:
        yield f"You said: {scene.text}."

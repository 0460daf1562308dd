"""Concierge: a small model acknowledges at once while a larger model thinks, so the caller never waits in silence."""

import asyncio
import re
from collections.abc import AsyncIterator

from pydantic_ai import Agent, RunContext

from layercode_app import SPEAK_PLAINLY, Call, Scene, Summary, Turn, VoiceAgent, load_prompt

SMALL_MODEL = "openai:gpt-5-nano"
"""A fast model. The larger model is the agent's own, from `--model` or DEFAULT_MODEL."""
OFFLINE_THINKING_SECONDS = 0.6
KINDS = {"restaurant": ["dinner", "lunch", " eat"], "museum": ["art", "to see"], "walk": ["stroll", "outside"]}
RESERVED = {"taxi": "a taxi", "cab": "a taxi", "ticket": "tickets", "massage": "a massage"}
"""The words that the offline script understands."""

RESERVATION = r"Reserved: [^.]+\."


async def reservations(before: Summary | None, transcript: str) -> Summary:
    """Return a summary that lists the reservations. It replaces older turns if the history has no room for them."""
    made = [*(before.facts if before else ()), *re.findall(RESERVATION, transcript)]
    return Summary("The concierge made the reservations that the guest had asked for.", list(dict.fromkeys(made)))


def greeting(turn: Turn) -> str:
    """Greet a guest, who may have called before."""
    again = bool(turn.from_phone_number and turn.notes.facts)
    return f"Good evening{', and welcome back' if again else ''}, this is the concierge. What may I arrange?"


concierge = Agent(instructions=[load_prompt("concierge"), SPEAK_PLAINLY], deps_type=Turn)
receptionist = Agent(instructions=load_prompt("concierge_receptionist"), name="receptionist")
agent = VoiceAgent(
    "concierge",
    concierge,
    greeting=greeting,
    summary=reservations,
    remember=lambda turn: turn.from_phone_number,
    speakable=True,
)


@agent.while_thinking
async def acknowledge(turn: Turn) -> AsyncIterator[str]:
    """Say a few words that promise nothing, while the larger model works."""
    async with receptionist.run_stream(turn.text, model=turn.helper_model(SMALL_MODEL)) as reply:
        async for text in reply.stream_text(delta=True, debounce_by=None):
            yield text
    yield " "


@concierge.tool
async def reserve(ctx: RunContext[Turn], what: str, when: str) -> str:
    """Reserve a restaurant, a taxi, tickets or a massage."""
    ctx.deps.data({"reserved": {"what": what, "when": when}})
    ctx.deps.outcome("reserved")
    if ctx.deps.from_phone_number:
        ctx.deps.notes.add(f"Reserved {what}, {when}.")
    return f"Reserved: {what}, {when}."


@concierge.tool_plain
async def suggest(kind: str) -> list[str]:
    """Suggest nearby places that guests of the hotel have liked."""
    places = {
        "restaurant": ["the Blue Door, for fish", "Casa Lima, for a long evening"],
        "museum": ["the Maritime Museum", "the Print House"],
        "walk": ["the harbour at sunset", "the botanical garden"],
    }
    return next((found for key, found in places.items() if key in kind.lower()), ["the old town"])


@agent.offline
async def script(scene: Scene) -> AsyncIterator[str | Call]:
    """Answer offline for the small and the larger model. Only the larger model has tools; it answers after a delay."""
    if not scene.offers("reserve"):
        yield "With pleasure, let me see."
    elif "reserve" in scene.results:
        yield f"It is done. {scene.results['reserve']}"
    elif "suggest" in scene.results:
        yield f"I would suggest {scene.results['suggest'][0]}. Shall I reserve?"
    elif scene.match(r"\bwhat (have|did) (you|we|i) (reserve|book|arrange)"):
        made = dict.fromkeys(re.findall(RESERVATION, str(scene.messages)))
        yield " ".join(made) or "Nothing yet."
    else:
        await asyncio.sleep(OFFLINE_THINKING_SECONDS)
        what = next((name for word, name in RESERVED.items() if scene.says(word)), "a table")
        if what != "a table" or scene.says("reserve", "book", "table", "yes"):
            yield Call("reserve", {"what": what, "when": scene.when or "at eight tonight"})
        elif kind := next((kind for kind, words in KINDS.items() if scene.says(kind, *words)), None):
            yield Call("suggest", {"kind": kind})
        else:
            yield "I can suggest a restaurant, a museum or a walk, and reserve what you like."

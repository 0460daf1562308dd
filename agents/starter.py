"""Starter: a concise general assistant, and a starting point for your own agent."""

from collections.abc import AsyncIterator

from pydantic_ai import Agent

from layercode_app import Call, Scene, Turn, VoiceAgent, load_prompt

starter = Agent(instructions=load_prompt("starter"), deps_type=Turn)
agent = VoiceAgent("starter", starter, greeting="Hi! What can I do for you?")


@agent.offline
async def script(scene: Scene) -> AsyncIterator[str | Call]:
    """Answer without a model, and show that the conversation is remembered."""
    if scene.says("what can you do", "help me", "who are you"):
        yield "I am running offline, from a small script. I can tell you what you said first."
    elif scene.turns == 1:
        yield f"You said: {scene.text}. I am running offline, from a small script."
    elif scene.says("first", "remember", "before"):
        yield f"The first thing you said was: {first_words(scene)}."
    else:
        yield f"That was your message number {scene.turns}: {scene.text}."


def first_words(scene: Scene) -> str:
    """Return the first thing that the caller said."""
    return scene.said[0] if scene.said else "nothing yet"

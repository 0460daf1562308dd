"""Echo: repeats what the caller says. Needs no model."""

from layercode_app import Turn, VoiceAgent

agent = VoiceAgent("echo", greeting="Hello! I repeat whatever you say.")


@agent.on_message
async def repeat(turn: Turn) -> str:
    """Repeat the caller's words."""
    return f"You said: {turn.text}"

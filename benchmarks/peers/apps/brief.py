"""The agent that ours and the bare app run; its model is named by the command, or by MODEL."""

from __future__ import annotations

from pydantic_ai import Agent

agent = Agent(instructions="Be brief.", name="brief")

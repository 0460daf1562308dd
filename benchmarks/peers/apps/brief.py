"""The agent of our server and of the bare app. The option --model, or the variable MODEL, names its model."""

from __future__ import annotations

from pydantic_ai import Agent

agent = Agent(instructions="Be brief.", name="brief")

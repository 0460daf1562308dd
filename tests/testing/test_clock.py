"""The fixture `clock` freezes the time that collectors read."""

from __future__ import annotations

import datetime as dt
from typing import Any

from pydantic_ai import Agent

from layercode_app import Call, Turn, VoiceAgent
from layercode_app.collect import Collecting, Date, Time
from layercode_app.testing import Clock, scripted


class Visit(Collecting):
    """The state of the agent."""

    day: dt.date | None = None
    at: dt.time | None = None


async def test_collectors_read_the_frozen_clock(clock: Clock, start_call: Any) -> None:
    desk = Agent(deps_type=Turn[Visit], toolsets=[Date("day", confirm=False), Time("at", confirm=False)])
    saving = [Call("save_day", {"heard": "tomorrow"}), Call("save_at", {"heard": "in an hour"})]
    call = start_call(VoiceAgent("desk", desk, state=Visit), model=scripted(*saving, "Good.", *saving, "Good."))
    for _ in range(2):
        await call.say("Tomorrow, in an hour")
        now = dt.datetime.fromtimestamp(clock())
        state = await call.state()
        assert state["day"] == (now + dt.timedelta(days=1)).date().isoformat()
        assert state["at"] == (now + dt.timedelta(hours=1)).time().isoformat()
        clock.advance(24 * 3600)

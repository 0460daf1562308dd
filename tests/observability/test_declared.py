"""An agent's counter of failed turns is exported as zero before a turn fails.

Without the exported zero, a rate over this counter would miss the first failure.
"""

from __future__ import annotations

import pytest

from layercode_app import VoiceAgent
from layercode_app.observability import metrics
from layercode_app.testing.call import open_call

pytestmark = pytest.mark.anyio


async def test_the_count_of_failed_turns_is_there_before_the_first(rows: list[metrics.Row]) -> None:
    async with open_call(VoiceAgent("quiet", greeting="Hello.")) as call:
        await call.app.start()
        assert rows == [(metrics.TURNS, 0, ("quiet", "message", "failed"))]

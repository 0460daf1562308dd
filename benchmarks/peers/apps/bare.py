"""A bare ASGI app, the baseline for any framework: HMAC, frames and `run_stream_events`, but no history."""

from __future__ import annotations

import os
from typing import Any

from ...servers import agent_app, bare_echo


def echo() -> Any:
    """Return the echo app, which answers with two frames; for uvicorn's `--factory`."""
    return bare_echo


def with_agent() -> Any:
    """Return an app that runs the same agent as our server. MODEL names the model, which is called over HTTP."""
    from pydantic_ai.models import infer_model

    from .brief import agent

    agent.model = infer_model(os.environ["MODEL"])
    return agent_app(agent)

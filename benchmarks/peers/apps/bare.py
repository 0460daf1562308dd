"""Bare ASGI: what no framework can undercut. HMAC, the frames, and PydanticAI's own `run_stream_events`; no memory."""

from __future__ import annotations

import os
from typing import Any

from ...servers import agent_app, bare_echo


def echo() -> Any:
    """Two frames, for uvicorn's factory."""
    return bare_echo


def with_agent() -> Any:
    """The same agent as ours, with a model over HTTP."""
    from pydantic_ai.models import infer_model

    from .brief import agent

    agent.model = infer_model(os.environ["MODEL"])
    return agent_app(agent)

"""What may go wrong on demand."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Faults(BaseModel):
    """Faults that stay on until they are changed. Nothing is wrong by default."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    authorize_status: int | None = Field(default=None, ge=400, le=599)
    """Refuse sessions and outbound calls with this status, such as 402 or 429."""
    duplicate: bool = False
    """Deliver every turn twice."""
    latency_ms: float = Field(default=0, ge=0, le=60_000)
    """A slow network: every delivery, and every frame of its answer, comes this much later."""
    drop_webhooks: bool = False
    """Lose every webhook on its way."""
    interrupt_after_ms: float | None = Field(default=None, ge=0)
    """Speak over every turn this long after the backend accepted it."""

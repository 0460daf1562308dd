"""Faults that the emulator simulates on demand."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..exceptions import ConfigurationError

WORDS = {
    "duplicate": "duplicate", "drop": "drop_webhooks", "latency": "latency_ms",
    "interrupt": "interrupt_after_ms", "status": "authorize_status",
}  # fmt: skip
"""The names of the faults on the command line, with the fields of Faults that they set."""
_SWITCHES = {"duplicate", "drop"}
EXPECTED = "duplicate, drop, latency=MS, interrupt=MS or status=CODE"


class Faults(BaseModel):
    """Simulated faults. All are off by default; a fault stays on until it is turned off."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    authorize_status: int | None = Field(default=None, ge=400, le=599)
    """Refuse sessions and outbound calls with this status, such as 402 or 429."""
    duplicate: bool = False
    """Deliver every turn twice."""
    latency_ms: float = Field(default=0, ge=0, le=60_000, allow_inf_nan=False)
    """Delay each delivery and each frame of its answer by these milliseconds, like a slow network."""
    drop_webhooks: bool = False
    """Drop every webhook instead of sending it."""
    interrupt_after_ms: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Interrupt each turn this many milliseconds after the backend accepted it, if interruptions are allowed."""

    @classmethod
    def read(cls, text: str) -> Faults:
        """Parse a list such as `duplicate,latency=200`. Raises ConfigurationError for a wrong fault or value."""
        values: dict[str, Any] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, given, value = part.partition("=")
            if name not in WORDS or bool(given) == (name in _SWITCHES):
                raise ConfigurationError(f"There is no fault {part!r}; expected {EXPECTED}.")
            values[WORDS[name]] = value if given else True
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = next(word for word, field in WORDS.items() if field == first["loc"][0])
            raise ConfigurationError(
                f"The fault {name}={first['input']!r} is not valid: {first['msg']}; expected {EXPECTED}."
            ) from error

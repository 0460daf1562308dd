"""Point an agent's webhook at this machine for a while, and give it back, whatever happens to us meanwhile.

What was there before is written to `.layercode/webhook.json` before the platform is told. A lock, which the system
takes from a dead process, says whether somebody still stands behind that file: if not, the next start gives it back.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from loguru import logger

from ..exceptions import ConfigurationError, PlatformAPIError
from .client import PlatformClient

if TYPE_CHECKING:
    from ..settings import Settings

FILE = Path(".layercode/webhook.json")


@dataclass(frozen=True)
class Claim:
    """Whose webhook was taken, where it went before, and where it goes now."""

    agent_id: str
    previous: str | None
    ours: str

    def write(self, file: Path) -> None:
        """Keep it, also through a crash of the machine."""
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_suffix(".tmp")
        with beside.open("w", encoding="utf-8") as out:
            json.dump(asdict(self), out)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(file)

    @staticmethod
    def forget(file: Path) -> None:
        """It was given back."""
        file.unlink(missing_ok=True)

    @classmethod
    def read(cls, file: Path) -> Claim | None:
        """The claim that was kept, if there is one that can be read."""
        try:
            return cls(**json.loads(file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            logger.error("{} cannot be read, so no webhook can be given back from it: {}", file, error)
            return None


def refuse_production(agent_id: str, settings: Settings) -> None:
    """Raise ConfigurationError for an agent that is listed as production."""
    if agent_id in settings.production_agents:
        raise ConfigurationError(
            f"The agent {agent_id} is listed in LAYERCODE_PRODUCTION_AGENTS, so a tunnel may not take its webhook. "
            "Use another agent: `layercode-create-app connect` makes one."
        )


@asynccontextmanager
async def claimed(client: PlatformClient, agent_id: str, url: str, *, file: Path = FILE) -> AsyncIterator[Claim]:
    """Point the agent's webhook at `url` inside the context, and give it back after, unless somebody changed it.

    Raises ConfigurationError when another process of this folder has it, PlatformAPIError when the platform refuses.
    """
    with _lock(file) as locked:
        if not locked:
            raise ConfigurationError(
                f"Another process has pointed a webhook at itself from here ({file}). End it first."
            )
        await _give_back(client, file)
        claim = Claim(agent_id, (await client.agent(agent_id)).webhook_url, url)
        claim.write(file)
        try:
            await client.set_webhook(agent_id, url)
            yield claim
        finally:
            await _give_back(client, file)


async def repair(client: PlatformClient, *, file: Path = FILE) -> bool:
    """Give back what a process that died had taken; true when there was something to give back."""
    if Claim.read(file) is None:
        return False
    with _lock(file) as locked:
        return locked and await _give_back(client, file)


async def _give_back(client: PlatformClient, file: Path) -> bool:
    claim = Claim.read(file)
    if claim is None:
        return False
    try:
        current = (await client.agent(claim.agent_id)).webhook_url
        if current != claim.ours:
            logger.info("The webhook of {} was changed meanwhile and stays at {}.", claim.agent_id, current)
        elif claim.previous is None:
            logger.warning(
                "{} had no webhook before; it stays at {}, where nobody listens.", claim.agent_id, claim.ours
            )
        else:
            await client.set_webhook(claim.agent_id, claim.previous)
            logger.info("The webhook of {} is back at {}.", claim.agent_id, claim.previous)
    except PlatformAPIError as error:
        if error.status in (400, 404):
            logger.error("The webhook of {} cannot be given back: {}", claim.agent_id, error)
        else:
            logger.error("The webhook of {} is given back at the next start: {}", claim.agent_id, error)
            return False
    claim.forget(file)
    return True


class _lock:  # noqa: N801 - reads as the context that it is
    """Entering gives whether this process has the lock now; the system lets go of it when the process dies."""

    def __init__(self, file: Path) -> None:
        self._path = file.with_suffix(".lock")
        self._file: IO[str] | None = None

    def __enter__(self) -> bool:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()

"""Point an agent's webhook at this machine for a while, and give it back, whatever happens to us meanwhile.

What was there before is written to `.layercode/webhook.json` before the platform is told. A lock, which the system
takes from a dead process, says whether somebody still stands behind that file: if not, the next start gives it back.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from loguru import logger

from ..exceptions import ConfigurationError, PlatformAPIError
from ..settings import make_folder
from .client import PlatformClient
from .models import AgentInfo
from .webhook_places import same_url

if TYPE_CHECKING:
    from ..settings import Settings

FILE = Path(".layercode/webhook.json")
TRIES = 3
PAUSE = 0.5
"""Seconds before the second try to give back; the third waits twice as long."""
GIVE_BACK_SECONDS = 15.0
"""All of it together, so that Ctrl-C ends also where the platform does not answer."""


@dataclass(frozen=True)
class Claim:
    """Whose webhook was taken, where it went before, and where it goes now.

    `earlier` are addresses of ours that the platform may still have, because it failed when they were to be given
    back; `account` tells apart who may say that the agent is gone.
    """

    agent_id: str
    previous: str | None
    ours: str
    earlier: Sequence[str] = ()
    account: str = ""

    def is_at(self, url: str | None) -> bool:
        """Whether a webhook that goes there is still the one that was taken."""
        return any(same_url(url, ours) for ours in (self.ours, *self.earlier))

    def write(self, file: Path) -> None:
        """Keep it, also through a crash of the machine."""
        make_folder(file.parent)
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
        claim = await _claim(client, agent_id, url, _kept(file, agent_id))
        claim.write(file)
        try:
            _tell_of_contradictions(await client.set_webhook(agent_id, url))
            yield claim
        finally:
            await _give_back(client, file)


async def repair(client: PlatformClient, *, file: Path = FILE) -> bool:
    """Give back what a process that died had taken; true when there was something to give back."""
    if Claim.read(file) is None:
        return False
    with _lock(file) as locked:
        return locked and await _give_back(client, file)


def _kept(file: Path, agent_id: str) -> Claim | None:
    """The claim that could not be given back. Raises ConfigurationError where ours would take its place."""
    if not file.exists():
        return None
    claim = Claim.read(file)
    if claim is None:
        raise ConfigurationError(
            f"{file} cannot be read, and may be all that knows where a webhook went before. See that the webhooks of "
            "your agents are what they should be, then delete it."
        )
    if claim.agent_id == agent_id:
        return claim
    if claim.previous is not None:
        raise ConfigurationError(
            f"The webhook of {claim.agent_id} could not be given back, and {file} is all that knows where it went "
            f"before: {claim.previous}. Start again with that agent and its LAYERCODE_API_KEY, or run `layercode-create-app "
            f"platform agents set-webhook {claim.agent_id} {claim.previous}` and delete the file."
        )
    return None


async def _claim(client: PlatformClient, agent_id: str, url: str, kept: Claim | None) -> Claim:
    current = (await client.agent(agent_id)).webhook_url
    if kept is None or not kept.is_at(current):
        return Claim(agent_id, current, url, account=client.account)
    # What the platform has is a dead tunnel of ours, never where the webhook belongs.
    return Claim(agent_id, kept.previous, url, earlier=[*kept.earlier, kept.ours], account=client.account)


async def _give_back(client: PlatformClient, file: Path) -> bool:
    """Whether nothing of ours is left at the platform; where it is, the claim stays for the next start."""
    claim = Claim.read(file)
    if claim is None:
        return False
    try:
        async with asyncio.timeout(GIVE_BACK_SECONDS):
            await _restore(client, claim)
    except PlatformAPIError as error:
        # A stranger's key finds no agent either, and must not make us forget.
        if error.status not in (400, 404) or claim.account not in ("", client.account):
            logger.error("The webhook of {} is given back at the next start: {}", claim.agent_id, error)
            return False
        logger.error("The webhook of {} cannot be given back; it was {}: {}", claim.agent_id, claim.previous, error)
    except TimeoutError:
        logger.error("The webhook of {} is given back at the next start: the platform is too slow.", claim.agent_id)
        return False
    claim.forget(file)
    return True


async def _restore(client: PlatformClient, claim: Claim) -> None:
    """Looks first, each time: a try whose answer was lost may have done it, or somebody changed it since."""
    current: str | None = None
    for attempt in range(1, TRIES + 1):
        current = (await client.agent(claim.agent_id)).webhook_url
        if claim.previous is None or not claim.is_at(current):
            break
        try:
            await client.set_webhook(claim.agent_id, claim.previous)
            current = claim.previous
            break
        except PlatformAPIError as error:
            passing = error.status is None or error.status == 429 or not 400 <= error.status < 500
            if attempt == TRIES or not passing:
                raise
        await asyncio.sleep(PAUSE * attempt)
    _tell(claim, current)


def _tell_of_contradictions(agent: AgentInfo) -> None:
    for place, other in agent.contradictions().items():
        logger.warning(
            "{} of {} still names {}. If calls go there, set it in the platform's dashboard.", place, agent.id, other
        )


def _tell(claim: Claim, current: str | None) -> None:
    if same_url(current, claim.previous):
        logger.info("The webhook of {} is back at {}.", claim.agent_id, current or "nowhere")
    elif claim.is_at(current):
        logger.warning("{} had no webhook before; it stays at {}, where nobody listens.", claim.agent_id, current)
    else:
        logger.info("The webhook of {} was changed meanwhile and stays at {}.", claim.agent_id, current)


class _lock:  # noqa: N801 - reads as the context that it is
    """Entering gives whether this process has the lock now; the system lets go of it when the process dies."""

    def __init__(self, file: Path) -> None:
        self._path = file.with_suffix(".lock")
        self._file: IO[str] | None = None

    def __enter__(self) -> bool:
        make_folder(self._path.parent)
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

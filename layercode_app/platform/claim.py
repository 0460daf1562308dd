"""Point an agent's webhook at this machine temporarily, and restore it later, even after a crash.

The previous URL is written to `.layercode/webhook.json` before the platform is changed. The process that owns this file
holds a lock, which the system releases if the process dies. If nothing holds the lock, the next start restores the URL.
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
from weakref import WeakSet

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
"""Seconds before the second attempt to restore the webhook; the third attempt waits twice as long."""
GIVE_BACK_SECONDS = 15.0
"""Timeout of all attempts together, so that Ctrl-C ends the program even if the platform does not answer."""


@dataclass(frozen=True)
class Claim:
    """A changed webhook: the agent's id, the URL before (`previous`) and our URL now (`ours`).

    `earlier` are URLs of ours that the platform may still have, because restoring the webhook failed. `account`
    identifies the account of the claim: a 404 for another account does not mean that the agent is gone.
    """

    agent_id: str
    previous: str | None
    ours: str
    earlier: Sequence[str] = ()
    account: str = ""

    def is_at(self, url: str | None) -> bool:
        """Return whether the URL is one of ours. If it is not, the webhook was changed after the claim was made."""
        return any(same_url(url, ours) for ours in (self.ours, *self.earlier))

    def write(self, file: Path) -> None:
        """Write the claim to the file atomically, and sync it, so that it survives a crash of the machine."""
        make_folder(file.parent)
        beside = file.with_suffix(".tmp")
        with beside.open("w", encoding="utf-8") as out:
            json.dump(asdict(self), out)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(file)

    @staticmethod
    def forget(file: Path) -> None:
        """Delete the file of a claim, because there is no webhook left to restore."""
        file.unlink(missing_ok=True)

    @classmethod
    def read(cls, file: Path) -> Claim | None:
        """Return the claim in the file, or None if the file is missing or invalid. Log an error for an invalid file."""
        try:
            return cls(**json.loads(file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            logger.error("{} cannot be read, so no webhook can be restored from it: {}", file, error)
            return None


def refuse_production(agent_id: str, settings: Settings) -> None:
    """Raise ConfigurationError if the agent is listed in LAYERCODE_PRODUCTION_AGENTS."""
    if agent_id in settings.production_agents:
        raise ConfigurationError(
            f"The agent {agent_id} is listed in LAYERCODE_PRODUCTION_AGENTS, so its webhook must not be set to a "
            "tunnel. Use another agent: `layercode-create-app connect` creates one."
        )


@asynccontextmanager
async def claimed(client: PlatformClient, agent_id: str, url: str, *, file: Path = FILE) -> AsyncIterator[Claim]:
    """Point the agent's webhook at `url` inside the context, and restore it afterwards unless it was changed meanwhile.

    A webhook that had no URL before keeps `url`. If the platform fails, the next start restores the webhook. Raises
    ConfigurationError if another process that runs in this folder has changed a webhook, or if the file of an earlier
    claim cannot be written. Raises PlatformAPIError if the platform refuses a request.
    """
    file = file.absolute()  # noqa: ASYNC240 - no access to the disk; a hook or tool may change the working directory
    with _lock(file) as locked:
        if not locked:
            raise ConfigurationError(
                f"Another process of this folder has pointed a webhook at itself ({file}). Stop that process first."
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
    """Restore a webhook that a dead process had changed. Return whether the dead process's claim was deleted.

    Return False if the file has no claim, if the process that made the claim still runs, or if the platform failed.
    """
    if Claim.read(file) is None:
        return False
    with _lock(file) as locked:
        return locked and await _give_back(client, file)


def _kept(file: Path, agent_id: str) -> Claim | None:
    """Return the claim on this agent's webhook that an earlier run left in the file.

    Return None if there is no file, or if the claim is on another agent's webhook and has no previous URL to restore.
    Raises ConfigurationError if the file cannot be read, or if it is the only record of the previous URL of another
    agent's webhook: a new claim would overwrite the file.
    """
    if not file.exists():
        return None
    claim = Claim.read(file)
    if claim is None:
        raise ConfigurationError(
            f"{file}, which may hold the previous URL of a webhook, cannot be read. Check the webhooks of your agents "
            "in the platform's dashboard, then delete the file."
        )
    if claim.agent_id == agent_id:
        return claim
    if claim.previous is not None:
        raise ConfigurationError(
            f"The webhook of {claim.agent_id} could not be restored, and only {file} has its previous URL: "
            f"{claim.previous}. Run this command again with that agent and its LAYERCODE_API_KEY, or run `layercode-create-app "
            f"platform agents set-webhook {claim.agent_id} {claim.previous}` and delete the file."
        )
    return None


async def _claim(client: PlatformClient, agent_id: str, url: str, kept: Claim | None) -> Claim:
    current = (await client.agent(agent_id)).webhook_url
    if kept is None or not kept.is_at(current):
        return Claim(agent_id, current, url, account=client.account)
    # The webhook still points to a dead tunnel of ours, so keep the previous URL from the earlier claim.
    return Claim(agent_id, kept.previous, url, earlier=[*kept.earlier, kept.ours], account=client.account)


async def _give_back(client: PlatformClient, file: Path) -> bool:
    """Restore the webhook of the claim in the file, and delete the claim. Returns whether the claim was deleted.

    The claim is also deleted if the platform answers 400 or 404, unless the claim belongs to another account. After any
    other failure the claim stays for the next start.
    """
    claim = Claim.read(file)
    if claim is None:
        return False
    try:
        async with asyncio.timeout(GIVE_BACK_SECONDS):
            await _restore(client, claim)
    except PlatformAPIError as error:
        # The platform also answers 404 if the API key is of another account. Then keep the claim.
        if error.status not in (400, 404) or claim.account not in ("", client.account):
            logger.error("The webhook of {} will be restored at the next start: {}", claim.agent_id, error)
            return False
        logger.error("The webhook of {} cannot be restored to {}: {}", claim.agent_id, claim.previous, error)
    except TimeoutError:
        logger.error(
            "The platform is too slow, so the webhook of {} will be restored at the next start.", claim.agent_id
        )
        return False
    claim.forget(file)
    return True


async def _restore(client: PlatformClient, claim: Claim) -> None:
    """Restore the webhook's previous URL, with retries.

    Keep the current URL if the webhook had none before, or if it was changed meanwhile.
    """
    current: str | None = None
    for attempt in range(1, TRIES + 1):
        # An earlier attempt whose answer was lost may have succeeded, or the webhook may have been changed meanwhile.
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
            "{} of {} is still set to {}. If calls still go to that URL, change this setting in the platform's dashboard.",
            place,
            agent.id,
            other,
        )


def _tell(claim: Claim, current: str | None) -> None:
    if same_url(current, claim.previous):
        logger.info("The webhook of {} was restored to {}.", claim.agent_id, current or "nowhere")
    elif claim.is_at(current):
        logger.warning(
            "{} had no webhook before, so there is none to restore. Its webhook is still {}, where no server listens.",
            claim.agent_id,
            current,
        )
    else:
        logger.info("The webhook of {} was changed meanwhile and stays at {}.", claim.agent_id, current)


class _lock:  # noqa: N801 - used like a function: `with _lock(file)`
    """A context manager that tries to lock the claim. The value of `with` is true if it got the lock.

    The operating system releases the lock if the process dies, even while its forked children live.
    """

    def __init__(self, file: Path) -> None:
        self._path = file.with_suffix(".lock")
        self._file: IO[str] | None = None

    def __enter__(self) -> bool:
        make_folder(self._path.parent)
        _locks.add(self)
        self._file = self._path.open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def __exit__(self, *_: object) -> None:
        self.disown()

    def disown(self) -> None:
        """Close the file. In a forked child, this leaves the lock to the parent process."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()


_locks: WeakSet[_lock] = WeakSet()
"""The locks of this process."""


def _disown_all() -> None:
    for lock in list(_locks):
        lock.disown()


os.register_at_fork(after_in_child=_disown_all)

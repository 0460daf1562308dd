"""Open the journal for a command that reads it while servers write it."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from ..exceptions import ConfigurationError, StoreError
from .stores import create_store
from .stores.base import Store

SQLITE = "sqlite:///"
SETTING = "LAYERCODE_STORE"


@asynccontextmanager
async def open_journal(url: str) -> AsyncIterator[Store]:
    """Open the store at a URL for an `async with` block.

    Raises ConfigurationError if there is no journal that a command could read, and StoreError if the store is down.
    """
    _check(url)
    store = create_store(url)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@contextmanager
def naming(source: str) -> Iterator[None]:
    """Replace the setting's name in the errors of this block by `source`: the argument or option that gave the URL."""
    try:
        yield
    except (ConfigurationError, StoreError) as error:
        if SETTING not in str(error):
            raise
        raise type(error)(str(error).replace(SETTING, source)) from error


def _check(url: str) -> None:
    if url == "memory":
        raise ConfigurationError(
            f"{SETTING} is memory: the journal exists only inside the server, so no command can read it. "
            "Set it to sqlite:///PATH to keep a journal."
        )
    if url.startswith(SQLITE) and not _is_file(url):
        raise ConfigurationError(f"{SETTING} {url}: there is no journal yet. Take a call first, with `dev`.")


def _is_file(url: str) -> bool:
    try:
        return stat.S_ISREG(Path(url.removeprefix(SQLITE)).stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{SETTING} {url}: the journal cannot be opened ({error}). Run the command as the user of the server."
        ) from error

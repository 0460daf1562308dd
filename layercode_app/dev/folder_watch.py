"""Watch folders for changed files, also after a folder was created, removed or replaced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing, suppress
from functools import cache
from pathlib import Path
from typing import TypeAlias

from loguru import logger
from watchfiles import Change, awatch

from ..wellformed import well_formed

CHECK_SECONDS = 1.0
"""Interval at which to look for folders that were created or replaced. The operating system reports no such change."""
RETRY_SECONDS = 5.0
"""Time until the next attempt after an error, such as a limit of the operating system."""

Identities: TypeAlias = dict[str, tuple[int, int]]
"""The device and inode of each existing folder, by path."""


async def changed_paths(
    folders: Callable[[], Iterable[Path]],
    wanted: Callable[[Change, str], bool],
    stop: asyncio.Event,
    *,
    recursive: bool,
) -> AsyncIterator[set[str]]:
    """Yield the paths of changed files, until `stop` is set. A folder that is created or replaced counts as changed."""
    before = _identities(folders())
    while not stop.is_set():
        present = _identities(folders())
        changed = {path for path in present if present[path] != before.get(path)}
        before = present
        try:
            async with aclosing(_batches(present, wanted, stop, recursive=recursive)) as batches:
                # Changes since the last watch are in `changed`. Yield them with the first batch of the new watch, so
                # that no change between two watches is lost.
                async for batch in batches:
                    if changed := changed | {path for _, path in batch}:
                        yield changed
                    changed = set()
                    # A new folder may have the inode of the removed one, so forget the removed folder.
                    before = {path: one for path, one in before.items() if (Change.deleted, path) not in batch}
                    if before != _identities(folders()):
                        break
        except (OSError, RuntimeError, ExceptionGroup) as error:
            # `awatch` puts an error of its own thread into an ExceptionGroup.
            cause = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
            logger.error("Files cannot be watched, retrying in {:.0f} seconds: {}", RETRY_SECONDS, cause)
            before = {}
            await asyncio.sleep(RETRY_SECONDS)


async def _batches(
    present: Identities, wanted: Callable[[Change, str], bool], stop: asyncio.Event, *, recursive: bool
) -> AsyncGenerator[set[tuple[Change, str]], None]:
    """Yield the changes of wanted files, and the removal of the watched folders themselves.

    If nothing has changed for `CHECK_SECONDS`, yield an empty set.
    """

    def passes(change: Change, path: str) -> bool:
        return wanted(change, path) or (change is Change.deleted and path in present)

    if not present:
        await asyncio.sleep(CHECK_SECONDS)
        yield set()
        return
    async for batch in awatch(
        *present,
        watch_filter=passes,
        stop_event=stop,
        recursive=recursive,
        debounce=200,
        step=50,
        rust_timeout=int(CHECK_SECONDS * 1000),
        yield_on_timeout=True,
    ):
        yield batch


@cache
def _can_watch(folder: str) -> bool:
    """Return whether `awatch` can watch a folder: the folder's path must be valid UTF-8.

    If it cannot, log a warning, once for each folder.
    """
    if folder == well_formed(folder):
        return True
    logger.warning("{!r} is not watched, because the path is not UTF-8. Restart after you change a file.", folder)
    return False


def _identities(folders: Iterable[Path]) -> Identities:
    found: Identities = {}
    for folder in filter(lambda path: _can_watch(str(path)), folders):
        with suppress(OSError):
            about = folder.stat()
            found[str(folder)] = (about.st_dev, about.st_ino)
    return found

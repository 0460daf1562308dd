"""Watch agent files, prompts and settings files, and reload them in the serving process without closing a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import fields
from pathlib import Path

from loguru import logger
from watchfiles import Change, DefaultFilter, awatch

from ..exceptions import ConfigurationError
from ..settings import ENV_FILE, TOML_FILE, Settings
from ..settings.limits import Limits
from ..settings.table import env_name

SUFFIXES = (".py", ".md", ".txt")
SETTINGS_FILES = (ENV_FILE, TOML_FILE)


APPLIED = frozenset(each.name for each in fields(Limits)) | {
    "agent_id", "agent_route", "agent_secrets", "authorize_agents", "authorize_body_limit", "authorize_fields",
    "authorize_origins", "authorize_rate", "authorize_route", "body_limit", "body_timeout", "default_model",
    "drain_seconds", "fallback_models", "goodbye", "handoff_url", "webhook_secret",
}  # fmt: skip
"""The settings that a reload applies. All other settings are read only when the server starts."""


def need_restart(before: Settings, after: Settings) -> list[str]:
    """Return the environment variables of changed settings that need a restart."""
    changed = (name for name in Settings.model_fields if getattr(before, name) != getattr(after, name))
    return [env_name(Settings.model_fields[name]) for name in changed if name not in APPLIED]


class _Sources(DefaultFilter):
    """A filter for agent files and prompts; temporary files of editors and Python are ignored."""

    def __call__(self, change: Change, path: str) -> bool:
        return path.endswith(SUFFIXES) and super().__call__(change, path)


def _is_settings(change: Change, path: str) -> bool:
    return Path(path).name in SETTINGS_FILES


@asynccontextmanager
async def watching(folders: Iterable[Path], reload: Callable[[], None]) -> AsyncIterator[None]:
    """Call `reload` after each change until the block ends. Folders that do not exist are not watched."""
    stop = asyncio.Event()
    present = [folder for folder in folders if folder.is_dir()]
    tasks = [
        asyncio.create_task(_watch(present, _Sources(), reload, stop, recursive=True), name="watch-agents"),
        asyncio.create_task(_watch([Path.cwd()], _is_settings, reload, stop, recursive=False), name="watch-settings"),
    ]
    try:
        yield
    finally:
        stop.set()
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _watch(
    paths: list[Path],
    wanted: Callable[[Change, str], bool],
    reload: Callable[[], None],
    stop: asyncio.Event,
    *,
    recursive: bool,
) -> None:
    if not paths:
        return
    async for changes in awatch(
        *paths, watch_filter=wanted, stop_event=stop, recursive=recursive, debounce=200, step=50
    ):
        logger.info("Changed: {}", ", ".join(sorted({Path(path).name for _, path in changes})))
        try:
            reload()
        except ConfigurationError as error:
            logger.error("Not reloaded: {}", error)

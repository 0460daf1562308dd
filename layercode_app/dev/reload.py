"""Watch agent files, prompts and settings files, and reload them in the serving process without closing a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import fields
from pathlib import Path

from loguru import logger
from watchfiles import Change, DefaultFilter

from ..settings import ENV_FILE, TOML_FILE, Settings
from ..settings.limits import Limits
from ..settings.table import env_name
from .folder_watch import changed_paths

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
async def watching(folders: Callable[[], Iterable[Path]], reload: Callable[[], None]) -> AsyncIterator[None]:
    """Call `reload` after each change until the block ends. If `reload` fails, log the reason.

    `folders` is called repeatedly, so folders that are created later are watched, too.
    """
    stop = asyncio.Event()
    here = Path.cwd()
    tasks = [
        asyncio.create_task(_watch(folders, _Sources(), reload, stop, recursive=True), name="watch-agents"),
        asyncio.create_task(_watch(lambda: [here], _is_settings, reload, stop, recursive=False), name="watch-settings"),
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
    folders: Callable[[], Iterable[Path]],
    wanted: Callable[[Change, str], bool],
    reload: Callable[[], None],
    stop: asyncio.Event,
    *,
    recursive: bool,
) -> None:
    async for paths in changed_paths(folders, wanted, stop, recursive=recursive):
        logger.info("Changed: {}", ", ".join(sorted({Path(path).name for path in paths})))
        try:
            reload()
        except Exception:  # noqa: BLE001 - no error may end the watching
            logger.exception("Not reloaded")

"""What development needs that production does not: a webhook secret of its own."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from loguru import logger

from ..settings import ENV_FILE, load_settings

NAME = "LAYERCODE_WEBHOOK_SECRET"


def ensure_secret(env_file: Path | str = ENV_FILE) -> bool:
    """Write a webhook secret into `.env` where none is set anywhere, readable by its owner only; true when it did.

    Then call `tell_of_secret`, once the log is set up.
    """
    if load_settings(env_file=env_file).webhook_secret:
        return False
    path = Path(env_file)
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if text and not text.endswith("\n"):
        text += "\n"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(f"{text}{NAME}=dev-{secrets.token_hex(24)}\n")
    return True


def tell_of_secret(env_file: Path | str = ENV_FILE) -> None:
    """Log that a secret was written, and warn where git would take it in."""
    path = Path(env_file)
    logger.info("A webhook secret for development was written into {}", path)
    ignore = path.parent / ".gitignore"
    if not (path.parent / ".git").exists():
        return
    lines = ignore.read_text(encoding="utf-8").split() if ignore.exists() else []
    if not {".env", "/.env", "*.env", ".env*"} & set(lines):
        logger.warning("{} is not in .gitignore. Add a line `.env` there, so that the secret is never committed.", path)

"""Prepare a project for development: create a webhook secret, and warn about private files that git would add."""

from __future__ import annotations

import secrets
import subprocess
from contextlib import suppress
from pathlib import Path

from loguru import logger

from ..settings import ENV_FILE, Settings, load_settings, make_folder
from ..settings.env_file import change

NAME = "LAYERCODE_WEBHOOK_SECRET"
JOURNAL_FOLDER = Path(".layercode")


def ensure_secret(env_file: Path | str = ENV_FILE) -> bool:
    """Write a webhook secret into `.env` unless a secret is set. Return whether one was written.

    Only the owner can read the file. If a secret was written, call `tell_of_secret` after the logs are set up.
    """
    if load_settings(env_file=env_file).webhook_secret:
        return False
    change({NAME: f"dev-{secrets.token_hex(24)}"}, env_file=Path(env_file))
    return True


def tell_of_secret(env_file: Path | str = ENV_FILE) -> None:
    """Log that a webhook secret was written."""
    logger.info("A webhook secret for development was written to {}", Path(env_file))


def warn_of_git(settings: Settings, env_file: Path | str = ENV_FILE) -> None:
    """Warn if git would add private files to the repository: the secret, the conversations or the logs.

    Missing folders are created first, with a `.gitignore`, so that they cause no warning.
    """
    folders = [JOURNAL_FOLDER, *([Path(settings.log_dir)] if settings.log_dir else [])]
    for folder in folders:
        with suppress(OSError):
            make_folder(folder, mode=0o700 if folder == JOURNAL_FOLDER else 0o777)
    taken = [str(env_file)] if _taken_in(Path(env_file)) else []
    taken += [f"{folder}/" for folder in folders if _taken_in(folder / "any")]
    if taken:
        logger.warning(
            "git would add {}, which may contain the webhook secret or transcripts. Add to .gitignore: {}",
            " and ".join(taken),
            " ".join(taken),
        )


def _taken_in(path: Path) -> bool:
    """Return whether git would add this file; false without a repository or without git."""
    asked = ["git", "check-ignore", "--quiet", "--no-index", path.name]
    try:
        answer = subprocess.run(asked, cwd=path.parent, check=False, capture_output=True, timeout=5)  # noqa: S603 - a name of ours
        return answer.returncode == 1
    except (OSError, subprocess.SubprocessError):
        return False

"""The process's environment: its only reader, and its only writer."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ENV_FILE = ".env"
_WORKER_OPTIONS = "LAYERCODE_WORKER_OPTIONS"


def environment() -> Mapping[str, str]:
    """The process's environment, for the few who pass it on to a child."""
    return os.environ


def export_env_file(env_file: Path | str = ENV_FILE, *, exported: Mapping[str, str] | None = None) -> dict[str, str]:
    """Put the variables of `.env` that are not ours (a model provider's key) where its SDK looks for them.

    The environment wins over the file. Only `run`, `dev` and their kin call this, never an embedded app. Returns what
    the file set; given back as `exported` after the file has changed, that changes with it.
    """
    from dotenv import dotenv_values

    for name, value in (exported or {}).items():
        if os.environ.get(name) == value:
            del os.environ[name]
    now = {name: value for name, value in dotenv_values(env_file).items() if value and not os.environ.get(name)}
    os.environ.update(now)
    return now


def overlay(values: Mapping[str, str]) -> None:
    """Set variables for libraries that read no other way; those that are set already stay."""
    for name, value in values.items():
        os.environ.setdefault(name, value)


@contextmanager
def overlaid(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables for a library that reads no other way, until the block ends."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def pass_to_workers(options: Mapping[str, Any]) -> None:
    """Leave what the parent was asked for where its worker processes find it."""
    os.environ[_WORKER_OPTIONS] = json.dumps(options)


def options_for_workers() -> dict[str, Any]:
    """What the parent process left."""
    return dict(json.loads(os.environ[_WORKER_OPTIONS]))
